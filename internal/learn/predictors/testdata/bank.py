"""Writes bank.json: what scikit-learn says about the predictors of the UCI bank
marketing data (Moro, Cortez, Rita 2014), one by one.

Run in this folder with Python 3.11:
    pip install scikit-learn==1.9.1 pandas==3.1.1 && python bank.py FOLDER
where FOLDER has bank-additional-full.csv.gz.

The first 32 950 rows, which are the oldest, are training rows, the others are
recent. Of every column: the AUC of the training rows' bins by the other half's
propensities (categories only, whose bins are their values), the AUC of the values
themselves (numbers only), and the PSI (categories only).
"""

import json
import sys

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

TRAINING = 32950
SMOOTHING = 10

data = pd.read_csv(f"{sys.argv[1]}/bank-additional-full.csv.gz", sep=";", keep_default_na=False)
y = (data.pop("y") == "yes").to_numpy()
data = data.drop(columns="duration")  # known only after the call


def half(row):
    """The half of a row by the FNV-1a hash of its id: log index row + 1, place 0."""
    h = 14695981039346656037
    for byte in (row + 1).to_bytes(8, "big") + (0).to_bytes(4, "big"):
        h = (h ^ byte) * 1099511628211 % 2**64
    return h // 5 & 1


halves = np.array([half(i) for i in range(TRAINING)])
label = y[:TRAINING]


def crossfitted(values):
    """The pairs of both halves together, each ordered by the other's propensities."""
    concordant = pairs = 0
    for h in (0, 1):
        fit, measure = halves != h, halves == h
        rate = label[fit].mean()
        groups = pd.DataFrame({"v": values[fit], "y": label[fit]}).groupby("v")["y"].agg(["sum", "count"])
        propensity = (groups["sum"] + SMOOTHING * rate) / (groups["count"] + SMOOTHING)
        scores = pd.Series(values[measure]).map(propensity).fillna(rate).to_numpy()
        n = label[measure].sum() * (~label[measure]).sum()
        concordant += roc_auc_score(label[measure], scores) * n
        pairs += n
    return concordant / pairs


def psi(training, recent):
    known = sorted(set(training))
    recent = np.where(np.isin(recent, known), recent, "other")
    bins = known + (["other"] if "other" in recent and "other" not in known else [])
    e = np.array([(training == b).sum() + 0.5 for b in bins]) / (len(training) + len(bins) / 2)
    a = np.array([(recent == b).sum() + 0.5 for b in bins]) / (len(recent) + len(bins) / 2)
    return float(((a - e) * np.log(a / e)).sum())


out = {}
for name in data.columns:
    values = data[name].to_numpy()
    if pd.api.types.is_numeric_dtype(data[name]):
        out[name] = {"rankAuc": roc_auc_score(label, values[:TRAINING])}
    else:
        values = values.astype(str)
        out[name] = {"auc": crossfitted(values[:TRAINING]), "psi": psi(values[:TRAINING], values[TRAINING:])}
with open("bank.json", "w") as f:
    json.dump(out, f, indent=1)
    f.write("\n")
