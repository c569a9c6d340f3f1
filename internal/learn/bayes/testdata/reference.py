"""Writes reference.csv and reference.json: rows, and what scikit-learn's naive Bayes and
Platt calibration make of them.

Run in this folder with Python 3.11:
    pip install numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1 && python reference.py

complete: CategoricalNB on the fields that no row lacks, its numbers binned by numpy at
the edges given. Its prior is set to the smoothed one of our formula, which it does not
smooth itself.
missing: all fields. CategoricalNB takes no missing values, so that each field has one of
its own, fitted to the rows that have the field; the members of the set have BernoulliNB,
of which only what present members say is taken. The score is the sigmoid of the sum of
their log-probabilities' differences.
quantiles: numpy's deciles without interpolation, of samples whose size is no multiple of
ten (there numpy takes the value before the tenth is passed, we the one after).
platt: scikit-learn's calibration stops where its optimizer sees no more gain, so beside
its parameters there are the exact ones: its logistic regression without a penalty, fitted
by Newton's method to each row twice, once as a positive with Platt's target for weight
and once as a negative with what is left.
"""

import csv
import json

import numpy as np
from scipy.special import expit
from sklearn.calibration import _sigmoid_calibration
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import BernoulliNB, CategoricalNB

N = 497
CHANNELS = ["app", "branch", "phone", "web"]
rng = np.random.default_rng(20240603)
age = np.round(rng.uniform(18, 80, N))
income = np.round(rng.lognormal(10, 0.6, N), 2)
visits = np.where(rng.uniform(size=N) < 0.15, np.nan, rng.poisson(2, N))
plan = rng.choice(["basic", "family", "premium"], N, p=[0.6, 0.38, 0.02])
segment = np.where(rng.uniform(size=N) < 0.1, "", rng.choice(["Bronze", "Gold", "Silver"], N))
members = rng.uniform(size=(N, len(CHANNELS))) < [0.6, 0.1, 0.3, 0.02]
members[~members.any(1), 0] = True
z = -1.2 + 0.03 * (age - 50) + 0.00002 * (income - 25000) + 0.8 * (plan == "premium") + 0.7 * members[:, 1]
y = rng.uniform(size=N) < expit(z)
weights = np.round(rng.uniform(0.25, 4, N), 3)

with open("reference.csv", "w", newline="") as f:
    w = csv.writer(f, lineterminator="\n")
    w.writerow(["age", "income", "visits", "plan", "segment", "channels", "y"])
    for i in range(N):
        channels = "|".join(c for c, m in zip(CHANNELS, members[i]) if m)
        w.writerow([age[i], income[i], "" if np.isnan(visits[i]) else visits[i], plan[i], segment[i], channels, "yes" if y[i] else "no"])

edges = {
    "age": np.quantile(age, np.arange(1, 10) / 10).tolist(),
    "income": np.quantile(income, np.arange(1, 10) / 10).tolist(),
    "visits": [1.0, 2.0, 4.0, 100.0],  # the last bin is empty
}


def prior(alpha, weight):
    positive = (weight[y].sum() + alpha) / (weight.sum() + 2 * alpha)
    return [1 - positive, positive]


def codes(values, name=None):
    """The categories' numbers, and how many there are."""
    if name in edges:
        return np.digitize(values, edges[name]), len(edges[name]) + 1
    known, code = np.unique(values, return_inverse=True)
    return code, len(known)


def complete(alpha, weight):
    columns, counts = zip(*[codes(age, "age"), codes(income, "income"), codes(plan)])
    X = np.column_stack(columns)
    nb = CategoricalNB(alpha=alpha, class_prior=prior(alpha, weight), min_categories=np.array(counts))
    return nb.fit(X, y, sample_weight=weight).predict_proba(X)[:, 1]


def missing(alpha, weight):
    p = prior(alpha, weight)
    total = np.full(N, np.log(p[1]) - np.log(p[0]))
    for values, name in [(age, "age"), (income, "income"), (visits, "visits"), (plan, None), (segment, None)]:
        there = ~np.isnan(values) if name else values != ""
        code, n = codes(values[there], name)
        nb = CategoricalNB(alpha=alpha, min_categories=n).fit(code[:, None], y[there], sample_weight=weight[there])
        log = nb.feature_log_prob_[0]
        total[there] += (log[1] - log[0])[code]
    log = BernoulliNB(alpha=alpha, binarize=None).fit(members, y, sample_weight=weight).feature_log_prob_
    return expit(total + members @ (log[1] - log[0]))


def quantiles(values):
    deciles = np.quantile(values, np.arange(1, 10) / 10, method="inverted_cdf")
    return {"values": np.sort(values).tolist(), "edges": [e for e in np.unique(deciles).tolist() if e > values.min()]}


def platt(z, y, weight):
    a, b = _sigmoid_calibration(z, y.astype(float), sample_weight=weight)
    positives, negatives = weight[y].sum(), weight[~y].sum()
    target = np.where(y, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    fit = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-14, max_iter=1000)
    fit.fit(np.tile(z, 2)[:, None], np.repeat([1, 0], len(z)), sample_weight=np.concatenate([weight * target, weight * (1 - target)]))
    slope, offset = float(fit.coef_[0, 0]), float(fit.intercept_[0])
    error = weight * (expit(slope * z + offset) - target)
    assert abs(error.sum()) < 1e-9 * weight.sum() and abs((error * z).sum()) < 1e-9 * weight.sum() * abs(z).max()
    return {
        "z": z.tolist(), "positive": y.tolist(), "weight": weight.tolist(),
        "sklearn": {"slope": float(-a), "offset": float(-b)}, "exact": {"slope": slope, "offset": offset},
    }


ones = np.ones(N)
over = rng.normal(-1, 3, 200)  # log-odds that are too sure of themselves
truth = rng.uniform(size=200) < expit(0.45 * over - 0.3)
fits = {
    "binEdges": edges, "weights": weights.tolist(),
    "complete": [{"alpha": a, "weighted": w is weights, "scores": complete(a, w).tolist()} for a, w in [(1, ones), (0.05, ones), (1, weights)]],
    "missing": [{"alpha": a, "weighted": w is weights, "scores": missing(a, w).tolist()} for a, w in [(1, ones), (7.5, ones), (1, weights)]],
    "quantiles": [quantiles(age), quantiles(income[:123]), quantiles(rng.poisson(1, 211).astype(float))],
    "platt": [
        platt(over, truth, np.ones(200)),
        platt(over, truth, weights[:200]),
        platt(20 * over, truth, np.ones(200)),
    ],
}
with open("reference.json", "w") as f:
    f.write("{\n" + ",\n".join(f" {json.dumps(k)}: {json.dumps(v)}" for k, v in fits.items()) + "\n}\n")
