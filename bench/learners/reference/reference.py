"""Fits the reference libraries' models, one for each line of JSON on stdin, and
answers with a line of JSON: {"library", "seconds", "auc", "logLoss"}.

A task is {"fit", "data"}; data is a folder that the Go side wrote: meta.json,
numbers.f64 (rows x numbers, NaN missing), codes.i32 (rows x categories, -1
missing), labels.u8 and test.u8. "seconds" is the library's fit alone: reading,
encoding, splitting and measuring are outside of it.
"""

import functools
import json
import os
import pathlib
import sys
import time
import warnings

import lightgbm
import numpy as np
import sklearn
import vowpalwabbit
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.naive_bayes import CategoricalNB
from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder, StandardScaler
from vowpalwabbit import LabelType

SCIKIT = f"scikit-learn {sklearn.__version__}"
VOWPAL = f"Vowpal Wabbit {vowpalwabbit.__version__} --loss_function logistic"


class Data:
    """A folder's rows, and the encodings that the libraries like best."""

    def __init__(self, folder):
        folder = pathlib.Path(folder)
        meta = json.loads((folder / "meta.json").read_text())
        self.categories = meta["categories"]  # how many values each has
        rows = meta["rows"]
        self.numbers = np.fromfile(folder / "numbers.f64", "<f8").reshape(rows, meta["numbers"])
        self.codes = np.fromfile(folder / "codes.i32", "<i4").reshape(rows, len(self.categories))
        self.y = np.fromfile(folder / "labels.u8", "u1").astype(np.int64)
        self.test = np.fromfile(folder / "test.u8", "u1").astype(bool)
        self.train = ~self.test

    @functools.cached_property
    def one_hot(self):
        """Standardised numbers and an indicator for each category that the training rows have, dense
        float64: SGDClassifier is no faster on the same columns as a sparse matrix."""
        hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(self.codes[self.train])
        numbers = StandardScaler().fit(self.numbers[self.train]).transform(self.numbers)
        return self.split(np.hstack([numbers, hot.transform(self.codes)]))

    @functools.cached_property
    def binned(self):
        """Ten quantile bins of each number beside the categories' codes, int32."""
        bins = KBinsDiscretizer(10, encode="ordinal", strategy="quantile").fit(self.numbers[self.train])
        return self.split(np.hstack([bins.transform(self.numbers), self.codes]).astype(np.int32))

    @functools.cached_property
    def ordinal(self):
        return self.split(np.hstack([self.numbers, np.where(self.codes < 0, np.nan, self.codes)]))

    @functools.cached_property
    def lines(self):
        """Rows as Vowpal Wabbit reads them: numbers as they are, since it finds their scale as it goes,
        and a feature for each category's value."""
        def line(i):
            numbers = (f"n{j}:{v!r}" for j, v in enumerate(self.numbers[i].tolist()) if v == v)
            codes = (f"c{j}_{v}" for j, v in enumerate(self.codes[i].tolist()) if v >= 0)
            return f"{1 if self.y[i] else -1} | {' '.join(numbers)} {' '.join(codes)}"

        return np.array([line(i) for i in range(len(self.y))], dtype=object)

    def split(self, X):
        if not self.test.any():
            return X, X[:0]
        return X[self.train], X[self.test]


@functools.lru_cache(maxsize=2)
def data_of(folder):
    return Data(folder)


def timed(fit):
    start = time.perf_counter()
    model = fit()
    return model, time.perf_counter() - start


def classifier(name, model, encoding):
    """A task that fits a classifier of scikit-learn and scores the test rows."""

    def task(data, _):
        X, test = getattr(data, encoding)
        made = model(data)
        _, seconds = timed(lambda: made.fit(X, data.y[data.train]))
        return f"{SCIKIT} {name}", seconds, made.predict_proba(test)[:, 1] if len(test) else None

    return task


def one_pass(shuffle):
    """One pass of SGD; the rate is the one that comes nearest to the AUC of the reference table."""
    return SGDClassifier(loss="log_loss", max_iter=1, tol=None, shuffle=shuffle, random_state=0, alpha=1e-4,
                         learning_rate="invscaling", eta0=0.02, power_t=0.25)


def progressive(data, _):
    """Each row is scored before it is learned, in the order of the file; the standardisation is that of
    all training rows, which a stream would not have."""
    X, _ = data.one_hot
    y = data.y[data.train]
    model, scores = one_pass(False), np.empty(len(y))
    model.partial_fit(X[:1], y[:1], classes=[0, 1])
    scores[0] = 0.5
    start = time.perf_counter()
    for i in range(1, len(y)):
        scores[i] = 1 / (1 + np.exp(-np.clip(X[i] @ model.coef_[0] + model.intercept_[0], -700, 700)))
        model.partial_fit(X[i : i + 1], y[i : i + 1])
    seconds = time.perf_counter() - start
    return f"{SCIKIT} SGDClassifier.partial_fit, row by row", seconds, (y, scores)


def vowpal(data, scored):
    """One pass in the order of the file with Vowpal Wabbit's defaults, over examples that are parsed
    already; learning an example says what was predicted of it before."""
    vw = vowpalwabbit.Workspace("--loss_function logistic --link logistic --quiet")
    examples = [vw.parse(line, labelType=LabelType.SIMPLE) for line in data.lines[data.train]]

    def learn():
        scores = np.empty(len(examples))
        for i, example in enumerate(examples):
            vw.learn(example)
            scores[i] = example.get_simplelabel_prediction()
        return scores

    scores, seconds = timed(learn)
    if not scored:
        scores = np.array([vw.predict(line) for line in data.lines[data.test]])
    vw.finish()
    return seconds, scores


def vowpal_one_pass(data, _):
    seconds, scores = vowpal(data, False)
    return f"{VOWPAL}, one pass, file order", seconds, scores


def vowpal_progressive(data, _):
    seconds, scores = vowpal(data, True)
    return f"{VOWPAL}, row by row", seconds, (data.y[data.train], scores)


def boosted(data, task):
    """LightGBM called directly, with the ML worker's own parameters and number of threads."""
    sys.path.insert(0, task["worker"])
    from praetor_mlworker.trainer import parameters

    config = {"numTrees": 100, "numLeaves": 31, "learningRate": 0.1, "minDataInLeaf": 20, "featureFraction": 1.0, "seed": 1}
    params = parameters({"params": config, "threads": max(1, len(os.sched_getaffinity(0)) - 1)})
    X, test = data.ordinal
    categorical = list(range(data.numbers.shape[1], X.shape[1]))

    def fit():
        rows = lightgbm.Dataset(X, data.y[data.train], categorical_feature=categorical, params=params)
        return lightgbm.train(params, rows, config["numTrees"])

    model, seconds = timed(fit)
    return f"LightGBM {lightgbm.__version__} train", seconds, model.predict(test)


TASKS = {
    "logistic": classifier("LogisticRegression(C=1)", lambda _: LogisticRegression(C=1, max_iter=1000), "one_hot"),
    "sgd": classifier("SGDClassifier, one pass, shuffled", lambda _: one_pass(True), "one_hot"),
    "sgd_in_order": classifier("SGDClassifier, one pass, file order", lambda _: one_pass(False), "one_hot"),
    "progressive": progressive,
    "vowpal": vowpal_one_pass,
    "vowpal_progressive": vowpal_progressive,
    "naive_bayes": classifier(
        "CategoricalNB(alpha=1), 10 quantile bins",
        lambda d: CategoricalNB(alpha=1, min_categories=[10] * d.numbers.shape[1] + d.categories), "binned"),
    "histogram": classifier(
        "HistGradientBoostingClassifier", lambda _: HistGradientBoostingClassifier(
            max_iter=100, max_leaf_nodes=31, learning_rate=0.1, random_state=0), "ordinal"),
    "boosted": boosted,
}


def main():
    warnings.filterwarnings("ignore")
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    for line in sys.stdin:
        task = json.loads(line)
        data = data_of(task["data"])
        library, seconds, scores = TASKS[task["fit"]](data, task)
        answer = {"library": library, "seconds": seconds}
        if scores is not None:
            y, scores = scores if isinstance(scores, tuple) else (data.y[data.test], scores)
            answer |= {"auc": roc_auc_score(y, scores), "logLoss": log_loss(y, scores)}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
