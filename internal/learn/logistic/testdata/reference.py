"""Writes reference.csv and reference.json: rows drawn from a logistic model and
scikit-learn's elastic-net fits to them.

Run in this folder with Python 3.11:
    pip install scikit-learn==1.2.1 'numpy<2' && python reference.py

scikit-learn minimises C * (sum of losses) + ratio * |w| + (1 - ratio) / 2 * w^2, so
that l1 = ratio / (n * C) and l2 = (1 - ratio) / (n * C) in the terms of our config.
"""

import csv
import json

import numpy as np
from sklearn.linear_model import LogisticRegression

N = 1500
rng = np.random.default_rng(20240601)
age = np.round(rng.uniform(18, 80, N), 1)
income = np.round(rng.lognormal(10, 0.5, N))
plan = rng.choice(["basic", "family", "premium"], N, p=[0.5, 0.3, 0.2])
effect = {"basic": -0.5, "family": 0.3, "premium": 1.0}
z = -0.5 + 0.04 * (age - 50) + 0.00003 * (income - 25000) + np.array([effect[p] for p in plan])
y = rng.uniform(size=N) < 1 / (1 + np.exp(-z))

with open("reference.csv", "w", newline="") as f:
    w = csv.writer(f, lineterminator="\n")
    w.writerow(["age", "income", "plan", "y"])
    for row in zip(age, income, plan, y):
        w.writerow([row[0], row[1], row[2], "yes" if row[3] else "no"])

numbers = np.column_stack([age, income])
X = np.column_stack([(numbers - numbers.mean(0)) / numbers.std(0)] + [plan == p for p in effect]).astype(float)
fits = []
for l1, l2 in [(0, 0.01), (0.02, 0.01), (0.05, 0)]:
    strength = l1 + l2
    m = LogisticRegression(penalty="elasticnet", solver="saga", l1_ratio=l1 / strength, C=1 / (N * strength),
                           tol=1e-10, max_iter=100000).fit(X, y)
    scores = m.predict_proba(X[:50])[:, 1]
    fits.append({"l1": l1, "l2": l2, "scores": [round(float(s), 8) for s in scores]})
with open("reference.json", "w") as f:
    json.dump(fits, f, indent=1)
    f.write("\n")
