"""Writes reference.json: the AUC and PSI by scipy and the log-loss by scikit-learn of
scores that are binned as ../doc.go describes.

Run in this folder with Python 3.11:
    pip install numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1 && python reference.py
"""

import json

import numpy as np
from scipy import stats
from sklearn import metrics

rng = np.random.default_rng(20260411)

# Eight bins to an octave, from 2^-13 up to one half, and mirrored.
LOWER = np.concatenate([[0], (2.0 ** np.arange(-13, -1))[:, None].repeat(8, 1).ravel() * np.tile(1 + np.arange(8) / 8, 12)])
STEPS = 2**24 - 1


def bins(scores):
    near = np.where(scores > 0.5, 1 - scores, scores)
    b = np.searchsorted(LOWER, near, side="right") - 1
    return np.where(scores > 0.5, 2 * len(LOWER) - 1 - b, b)


def groups(reference):
    """The bins at which runs begin that hold about a tenth of the scores each."""
    counts = np.bincount(reference, minlength=2 * len(LOWER))
    starts, seen, left = [], 0, counts.sum()
    for b in np.flatnonzero(counts):
        if len(starts) < 9 and seen > 0 and seen + counts[b] / 2 >= left / (10 - len(starts)):
            starts.append(b)
            left -= seen
            seen = 0
        seen += counts[b]
    return starts


def psi(reference, scores):
    starts = groups(reference)
    e, a = (np.bincount(np.searchsorted(starts, s, side="right"), minlength=len(starts) + 1) + 0.5 for s in (reference, scores))
    return stats.entropy(a, e) + stats.entropy(e, a)


def case(name, scores, labels, reference):
    scores, reference = np.round(scores, 6), np.round(reference, 6)
    b = bins(scores)
    u = stats.mannwhitneyu(b[labels], b[~labels]).statistic
    served = np.clip(np.round(scores * STEPS) / STEPS, 2.0**-25, 1 - 2.0**-25)
    return {
        "name": name, "scores": scores.tolist(), "labels": labels.astype(int).tolist(), "reference": reference.tolist(),
        "auc": u / labels.sum() / (~labels).sum(), "logLoss": metrics.log_loss(labels, served), "psi": psi(bins(reference), b),
    }


def drawn(name, p, q):
    return case(name, p, rng.uniform(size=len(p)) < p, q)


cases = [
    drawn("no shift", rng.beta(2, 5, 500), rng.beta(2, 5, 800)),
    drawn("shifted", rng.beta(4, 5, 500), rng.beta(2, 5, 800)),
    drawn("rare events", rng.beta(2, 90, 500), rng.beta(2, 110, 800)),
    drawn("many ties", np.round(rng.beta(2, 3, 500) * 8) / 8, np.round(rng.beta(2, 2, 800) * 8) / 8),
    drawn("close to both ends", rng.beta(0.2, 0.2, 500), rng.beta(0.2, 0.3, 800)),
]
with open("reference.json", "w") as f:
    f.write("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
