"""Writes two tables of rows, drawn from a logistic model, and scikit-learn's fits to them:
reference.csv and reference.json, and missing.csv and missing.json, whose rows lack values
and have rare categories.

Run in this folder with Python 3.11:
    pip install numpy==2.4.6 scikit-learn==1.9.1 && python reference.py

scikit-learn minimises C * (sum of losses) + ratio * |w| + (1 - ratio) / 2 * w^2, so
that l1 = ratio / (n * C) and l2 = (1 - ratio) / (n * C) in the terms of our config.
Numbers are standardised by the moments of those that are there; a missing one is taken at
its mean, 0. Categories are one-hot, those of fewer than ten rows have no column.
"""

import csv
import json

import numpy as np
from sklearn.linear_model import LogisticRegression


def write(name, header, rows):
    with open(name, "w", newline="") as f:
        w = csv.writer(f, lineterminator="\n")
        w.writerow(header)
        w.writerows(rows)


def design(numbers, categories):
    columns = []
    for x in numbers:
        there = x[~np.isnan(x)]
        columns.append(np.nan_to_num((x - there.mean()) / there.std()))
    for c in categories:
        for value, rows in zip(*np.unique(c[c != ""], return_counts=True)):
            if rows >= 10:
                columns.append(c == value)
    return np.column_stack(columns).astype(float)


def fit(X, y, l1, l2):
    if l1 + l2 == 0:
        m = LogisticRegression(C=np.inf, solver="lbfgs", tol=1e-12, max_iter=100000)
    else:
        m = LogisticRegression(C=1 / (len(y) * (l1 + l2)), l1_ratio=l1 / (l1 + l2), solver="saga", tol=1e-10, max_iter=100000)
    m.fit(X, y)
    error = m.predict_proba(X)[:, 1] - y
    assert abs(error.mean()) < 1e-7
    if l1 + l2 == 0:
        assert abs(X.T @ error).max() / len(y) < 1e-7
    return m.predict_proba(X)[:, 1]


def fits(name, X, y, penalties, rows):
    out = [{"l1": l1, "l2": l2, "scores": [round(float(s), 8) for s in fit(X, y, l1, l2)[:rows]]} for l1, l2 in penalties]
    with open(name, "w") as f:
        json.dump(out, f, indent=1)
        f.write("\n")


N = 1500
rng = np.random.default_rng(20240601)
age = np.round(rng.uniform(18, 80, N), 1)
income = np.round(rng.lognormal(10, 0.5, N))
plan = rng.choice(["basic", "family", "premium"], N, p=[0.5, 0.3, 0.2])
effect = {"basic": -0.5, "family": 0.3, "premium": 1.0}
z = -0.5 + 0.04 * (age - 50) + 0.00003 * (income - 25000) + np.array([effect[p] for p in plan])
y = rng.uniform(size=N) < 1 / (1 + np.exp(-z))
write("reference.csv", ["age", "income", "plan", "y"], zip(age, income, plan, np.where(y, "yes", "no")))
fits("reference.json", design([age, income], [plan]), y, [(0, 0.01), (0.02, 0.01), (0.05, 0)], 50)

N = 1000
rng = np.random.default_rng(20240608)
age = np.where(rng.uniform(size=N) < 0.2, np.nan, np.round(rng.uniform(18, 80, N), 1))
income = np.where(rng.uniform(size=N) < 0.1, np.nan, np.round(rng.lognormal(10, 0.5, N)))
plan = rng.choice(["basic", "family", "premium"], N, p=[0.5, 0.3, 0.2])
region = np.where(rng.uniform(size=N) < 0.15, "", rng.choice(["east", "north", "west"], N))
region[rng.choice(N, 19, replace=False)] = ["nine"] * 9 + ["ten"] * 10
z = -0.4 + 0.05 * np.nan_to_num(age - 50) + 0.00003 * np.nan_to_num(income - 25000) + np.array([effect[p] for p in plan])
z += 1.2 * (region == "north") + 2 * (region == "nine") - 1.5 * (region == "ten")
y = rng.uniform(size=N) < 1 / (1 + np.exp(-z))


def text(x):
    return np.where(np.isnan(x), "", x.astype(str))


write("missing.csv", ["age", "income", "plan", "region", "y"], zip(text(age), text(income), plan, region, np.where(y, "yes", "no")))
fits("missing.json", design([age, income], [plan, region]), y, [(0, 0), (0, 0.02), (0.02, 0.01), (0.04, 0)], N)
