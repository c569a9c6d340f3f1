"""Writes reference.json: tests of proportions by statsmodels, of counts by scipy,
and assignments by the description in ../doc.go.

Run in this folder with Python 3.11:
    pip install numpy==2.4.6 scipy==1.17.1 statsmodels==0.15.0 && python reference.py
"""

import json

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint, proportions_ztest

rng = np.random.default_rng(20260314)


def variant(x, n, bx, bn):
    z, p = proportions_ztest([x, bx], [n, bn])
    lower, upper = proportion_confint(x, n, alpha=0.05, method="wilson")
    return {"x": x, "n": n, "baseX": bx, "baseN": bn, "z": z, "p": p, "lower": lower, "upper": upper}


pairs = [(12, 100, 9, 100), (1, 100, 0, 100), (99, 100, 100, 100), (130, 1000, 100, 1000), (5200, 100_000, 5000, 100_000),
         (700_000, 1_000_000, 699_000, 1_000_000), (3, 7, 900, 20_000), (500, 1000, 900, 1000)]
for _ in range(60):
    n, bn = (int(v) for v in 10 ** rng.uniform(1.5, 6, 2))
    p = rng.beta(1, 6)
    pairs.append((int(rng.binomial(n, min(p * rng.uniform(0.8, 1.25), 1))), n, int(rng.binomial(bn, p)), bn))
variants = [variant(*c) for c in pairs if 0 < c[0] + c[2] < c[1] + c[3]]

squares = []
for _ in range(60):
    k = int(rng.integers(2, 23))
    shares = rng.dirichlet(np.full(k, 5.0))
    counts = rng.multinomial(int(10 ** rng.uniform(2, 6)), rng.dirichlet(shares * 10 ** rng.uniform(3, 7)))
    s = stats.chisquare(counts, shares * counts.sum())
    squares.append({"counts": counts.tolist(), "shares": shares.tolist(), "statistic": s.statistic, "p": s.pvalue})
tails = [{"x": float(x), "df": int(df), "p": float(stats.chi2.sf(x, df))}
         for df in range(1, 23) for x in [1e-6, 0.3, 1, df, 2 * df, 10 + 3 * df, 100, 700]]

experiments = []
for _ in range(40):
    k = int(rng.integers(1, 6))
    n = rng.integers(500, 5000, k + 1)
    x = rng.binomial(n, 0.1 + 0.03 * rng.standard_normal(k + 1).clip(-2, 2))
    p = [proportions_ztest([x[i], x[0]], [n[i], n[0]])[1] for i in range(1, k + 1)]
    experiments.append({"x": x.tolist(), "n": n.tolist(), "significant": multipletests(p, 0.05, "bonferroni")[0].tolist()})


def fnv1a(text):
    h = 14695981039346656037
    for b in text.encode():
        h = (h ^ b) * 1099511628211 % 2**64
    return h


buckets = [{"key": key, "customer": c, "bucket": fnv1a(f"{key}:{c}") % 10_000}
           for key in ["e", "cards-q3", "größe"] for c in ["", "C1", "cust-42", "客户", "x" * 300, "a:b"]]

with open("reference.json", "w") as f:
    json.dump({"variants": variants, "squares": squares, "tails": tails, "experiments": experiments, "buckets": buckets}, f, indent=0)
    f.write("\n")
