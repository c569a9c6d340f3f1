"""Prints what river's logistic model reaches on the bank marketing data (Moro, Cortez, Rita
2014) in one pass over the file's order: the figures of the test of that name.

Run with Python 3.11 and the folder of bank-additional-full.csv.gz:
    pip install numpy==2.4.6 scikit-learn==1.9.1 river==0.26.1 && python bank.py FOLDER

Progressively: every row is scored, then learned, and the AUC is that of all scores. Once:
the rows whose index is no multiple of five are learned, and the AUC is that of the others.
The columns are standardised and one-hot; the duration of a call is left out. The rates are
our defaults; the bias has the optimizer of the weights.
"""

import csv
import gzip
import pathlib
import sys

from river import linear_model, optim, preprocessing
from sklearn.metrics import log_loss, roc_auc_score

with gzip.open(pathlib.Path(sys.argv[1]) / "bank-additional-full.csv.gz", "rt", newline="") as f:
    data = list(csv.DictReader(f, delimiter=";"))
labels = [r.pop("y") == "yes" for r in data]
NUMBERS = ["age", "campaign", "pdays", "previous", "emp.var.rate", "cons.price.idx", "cons.conf.idx", "euribor3m", "nr.employed"]
rows = []
for r in data:
    r.pop("duration")
    number = {k: float(r.pop(k)) for k in NUMBERS}
    rows.append((number, {f"{k}={v}": 1.0 for k, v in r.items()} | {"bias": 1.0}))


class Model:
    def __init__(self, optimizer):
        self.scaler = preprocessing.StandardScaler()
        self.model = linear_model.LogisticRegression(optimizer=optimizer, intercept_lr=0.0)

    def score(self, row):
        return self.model.predict_proba_one(self.scaler.transform_one(row[0]) | row[1])[True]

    def learn(self, row, label):
        self.scaler.learn_one(row[0])
        x = self.scaler.transform_one(row[0]) | row[1]
        self.model.learn_one({k: v for k, v in x.items() if v != 0}, label)


for name, make in {
    "sgd": lambda: optim.SGD(0.01),
    "adagrad": lambda: optim.AdaGrad(0.02, eps=0.0),
    "ftrl": lambda: optim.FTRLProximal(alpha=0.05, beta=1.0, l1=0.0, l2=0.0),
}.items():
    m, progressive = Model(make()), []
    for row, label in zip(rows, labels):
        progressive.append(m.score(row))
        m.learn(row, label)
    m, test = Model(make()), [i for i in range(len(rows)) if i % 5 == 0]
    for i, (row, label) in enumerate(zip(rows, labels)):
        if i % 5 != 0:
            m.learn(row, label)
    once = [m.score(rows[i]) for i in test]
    truth = [labels[i] for i in test]
    print(f"{name}: progressively AUC {roc_auc_score(labels, progressive):.4f}, log-loss {log_loss(labels, progressive):.4f}; "
          f"once AUC {roc_auc_score(truth, once):.4f}, log-loss {log_loss(truth, once):.4f}", flush=True)
