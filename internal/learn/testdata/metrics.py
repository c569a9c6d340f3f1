"""Writes metrics.json: what scikit-learn measures of scores against labels.

Run in this folder with Python 3.11:
    pip install numpy==2.4.6 scikit-learn==1.9.1 && python metrics.py
"""

import json
import warnings

import numpy as np
from sklearn import metrics

rng = np.random.default_rng(20240602)


def measure(name, scores, labels):
    scores, labels = np.asarray(scores, float), np.asarray(labels, bool)
    predicted = scores >= 0.5
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an AUC that one class alone does not have
        auc = metrics.roc_auc_score(labels, scores)
    return {
        "name": name, "scores": scores.tolist(), "labels": labels.tolist(),
        "accuracy": metrics.accuracy_score(labels, predicted),
        "precision": metrics.precision_score(labels, predicted, zero_division=0),
        "recall": metrics.recall_score(labels, predicted, zero_division=0),
        "f1": metrics.f1_score(labels, predicted, zero_division=0),
        "auc": None if np.isnan(auc) else auc,
        "logLoss": metrics.log_loss(labels, scores, labels=[False, True]),
        "brier": metrics.brier_score_loss(labels, scores),
    }


p = rng.beta(0.7, 2, 400)
y = rng.uniform(size=400) < p
cases = [
    measure("scores without ties", p, y),
    measure("many ties", np.round(p * 8) / 8, y),
    measure("two values", np.where(p < 0.2, 0.1, 0.6), y),
    measure("all scores equal", np.full(50, 0.25), y[:50]),
    measure("all at the threshold", np.full(50, 0.5), y[:50]),
    measure("certain, with mistakes", np.where(rng.uniform(size=60) < 0.1, ~y[:60], y[:60]), y[:60]),
    measure("certain, without mistakes", y[:60], y[:60]),
    measure("worse than chance", 1 - p, y),
    measure("one positive", p[:200], np.arange(200) == 77),
    measure("one negative", p[:200], np.arange(200) != 77),
    measure("close to the ends", [1e-300, 1e-17, 1e-16, 1e-15, 1 - 1e-16, 1 - 2e-16, 1 - 1e-15, 0, 1], [1, 1, 0, 1, 0, 1, 0, 0, 1]),
    measure("positives alone", [0.2, 0.5, 0.9], [1, 1, 1]),
    measure("negatives alone", [0.2, 0.5, 0.9], [0, 0, 0]),
]
with open("metrics.json", "w") as f:
    f.write("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
