"""Writes reference.csv and reference.json: a stream of rows, and what a logistic model of
river learns from it one row at a time.

Run in this folder with Python 3.11:
    pip install numpy==2.4.6 scikit-learn==1.9.1 river==0.26.1 && python reference.py

sgd and adagrad are river's LogisticRegression, the bias a feature that is always 1. Its
FTRL-Proximal computes a weight one step late and never sets one back to 0, so that only
its sums are used as they are: before each row all weights are computed anew from them.
Algorithm 1 of McMahan et al. 2013, written down again below, must agree with it.

Numbers of the normalised model are standardised by river's StandardScaler or, where rows
have weights, by numpy's weighted moments of all values so far; they are clipped at 8.
A row's score is from before the row was seen. The log-loss is that of a prediction which
knows the row's numbers, as their moments take in a row before its weights do.
"""

import csv
import json
import math

import numpy as np
from river import linear_model, optim, preprocessing
from sklearn.metrics import log_loss

N = 400
NUMBERS = ["age", "balance", "income"]
rng = np.random.default_rng(20240604)
age = np.round(rng.normal(0, 1, N), 3)
balance = np.where(rng.uniform(size=N) < 0.2, np.nan, np.round(rng.normal(0.5, 2, N), 3))
income = np.round(rng.lognormal(0, 0.5, N), 3)
income[250] = 5000.0  # beyond the clip
segment = np.where(rng.uniform(size=N) < 0.1, "", rng.choice(["Bronze", "Gold", "Silver"], N))
margin = -0.5 + age - 0.6 * np.nan_to_num(balance) + 1.2 * (segment == "Gold")
y = rng.uniform(size=N) < 1 / (1 + np.exp(-margin))
weights = np.round(rng.uniform(0.25, 4, N), 3)
values = {"age": age, "balance": balance, "income": income}

with open("reference.csv", "w", newline="") as f:
    w = csv.writer(f, lineterminator="\n")
    w.writerow(["age", "balance", "income", "segment", "y"])
    for i in range(N):
        w.writerow([age[i], "" if np.isnan(balance[i]) else balance[i], income[i], segment[i], "yes" if y[i] else "no"])


def row(i, numbers=NUMBERS):
    return {k: float(values[k][i]) for k in numbers if not np.isnan(values[k][i])}


class Library:
    """river's sgd and adagrad."""

    def __init__(self, optimizer):
        self.model = linear_model.LogisticRegression(optimizer=optimizer, intercept_lr=0.0, l2=0.0)

    def predict(self, x):
        return self.model.predict_proba_one(x | {"bias": 1.0})[True]

    def learn(self, x, label, weight):
        self.model.learn_one({k: v for k, v in (x | {"bias": 1.0}).items() if v != 0}, bool(label), w=weight)

    def weights(self):
        return dict(self.model.weights)


def probability(w, x):
    z = w.get("bias", 0.0) + sum(w.get(k, 0.0) * v for k, v in x.items())
    return 1 / (1 + math.exp(-z))


class Ftrl:
    """river's FTRL-Proximal in the order of algorithm 1."""

    def __init__(self, rate, l1, l2):
        self.optimizer = optim.FTRLProximal(alpha=rate, beta=1.0, l1=l1, l2=l2)

    def weights(self):
        keys = list(self.optimizer.z)
        return self.optimizer.step(dict.fromkeys(keys, 0.0), dict.fromkeys(keys, 0.0))

    def predict(self, x):
        return probability(self.weights(), x)

    def learn(self, x, label, weight):
        w = self.weights()
        g = weight * (probability(w, x) - label)
        self.optimizer.step(w, {k: g * v for k, v in (x | {"bias": 1.0}).items()})


class Algorithm1:
    """McMahan et al. 2013, algorithm 1, with beta 1."""

    def __init__(self, alpha, l1, l2):
        self.alpha, self.l1, self.l2, self.z, self.n = alpha, l1, l2, {}, {}

    def weights(self):
        w = {}
        for i, z in self.z.items():
            if abs(z) <= self.l1:
                w[i] = 0.0
            else:
                w[i] = -(z - math.copysign(self.l1, z)) / ((1 + math.sqrt(self.n[i])) / self.alpha + self.l2)
        return w

    def predict(self, x):
        return probability(self.weights(), x)

    def learn(self, x, label, weight):
        w = self.weights()
        p = probability(w, x)
        for i, v in (x | {"bias": 1.0}).items():
            g = weight * (p - label) * v
            n = self.n.get(i, 0.0)
            sigma = (math.sqrt(n + g * g) - math.sqrt(n)) / self.alpha
            self.z[i] = self.z.get(i, 0.0) + g - sigma * w.get(i, 0.0)
            self.n[i] = n + g * g


class Weighted:
    """The scaler of rows with weights: moments of all values so far, each time anew."""

    def __init__(self):
        self.seen = {k: ([], []) for k in NUMBERS}

    def learn_one(self, x, weight):
        for k, v in x.items():
            self.seen[k][0].append(v)
            self.seen[k][1].append(weight)

    def moments(self, k):
        v, w = (np.array(a) for a in self.seen[k])
        if len(v) < 2:
            return float(v.sum()), 0.0
        mean = np.average(v, weights=w)
        return float(mean), float(np.average((v - mean) ** 2, weights=w))

    def transform_one(self, x):
        out = {}
        for k, v in x.items():
            mean, variance = self.moments(k)
            out[k] = (v - mean) / math.sqrt(variance) if variance > 0 else 0.0
        return out


class Unweighted:
    """river's scaler."""

    def __init__(self):
        self.scaler = preprocessing.StandardScaler()

    def learn_one(self, x, weight):
        self.scaler.learn_one(x)

    def moments(self, k):
        return float(self.scaler.means[k]), float(self.scaler.vars[k])

    def transform_one(self, x):
        return {k: float(v) for k, v in self.scaler.transform_one(x).items()}


def features(scaler, i, normalize):
    if not normalize:
        return row(i, ["age", "balance"])
    x = {k: min(max(v, -8.0), 8.0) for k, v in scaler.transform_one(row(i)).items()}
    if segment[i]:
        x["segment=" + segment[i]] = 1.0
    return x


def stream(model, normalize, weighted):
    scaler = Weighted() if weighted else Unweighted()
    weight = weights if weighted else np.ones(N)
    scores, predicted = [], []
    for i in range(N):
        scores.append(model.predict(features(scaler, i, normalize)))
        scaler.learn_one(row(i), weight[i])
        x = features(scaler, i, normalize)
        predicted.append(model.predict(x))
        model.learn(x, float(y[i]), weight[i])
    w = model.weights()
    bias = w.pop("bias")
    fit = {"bias": bias, "weights": w, "scores": scores, "loss": log_loss(y, predicted, sample_weight=weight, normalize=False)}
    if normalize:
        fit["moments"] = {k: scaler.moments(k) for k in NUMBERS}
    return fit


def fit(normalize, weighted, optimizer, rate, l1=0.0, l2=0.0):
    config = {"normalize": normalize, "optimizer": optimizer, "learningRate": rate, "l1": l1, "l2": l2}
    if optimizer != "ftrl":
        library = {"sgd": lambda: optim.SGD(rate), "adagrad": lambda: optim.AdaGrad(rate, eps=0.0)}[optimizer]()
        return {"config": config, "weighted": weighted} | stream(Library(library), normalize, weighted)
    out = stream(Ftrl(rate, l1, l2), normalize, weighted)
    again = stream(Algorithm1(rate, l1, l2), normalize, weighted)
    np.testing.assert_allclose(out["scores"], again["scores"], rtol=0, atol=1e-13)
    return {"config": config, "weighted": weighted} | out


fits = [
    fit(False, False, "sgd", 0.05),
    fit(False, True, "sgd", 0.02),
    fit(False, False, "adagrad", 0.1),
    fit(False, False, "ftrl", 0.1),
    fit(False, True, "ftrl", 0.2, 3.0, 0.5),
    fit(True, False, "sgd", 0.01),
    fit(True, False, "adagrad", 0.02),
    fit(True, True, "adagrad", 0.1),
    fit(True, False, "ftrl", 0.05),
    fit(True, True, "ftrl", 0.3, 20.0, 1.0),
]
with open("reference.json", "w") as f:
    f.write('{\n "rowWeights": ' + json.dumps(weights.tolist()) + ',\n "fits": [\n' + ",\n".join("  " + json.dumps(x) for x in fits) + "\n ]\n}\n")
