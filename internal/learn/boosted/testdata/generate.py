"""Writes what LightGBM itself says of small models that between them use every feature of
its model format, and, on request, of two large ones.

Run in this folder with Python 3.11:
    pip install lightgbm==4.7.0 numpy==2.4.6 pandas==3.1.1
    python generate.py                   # the goldens in lightgbm/
    python generate.py large FOLDER      # 100 000 random rows and models of 100 and 500 trees

A golden is NAME.txt (Booster.save_model), NAME.dump.json (Booster.dump_model) and, unless
the model is one to refuse, NAME.rows.json: the rows as a client sends them (null is
missing), with predict(raw_score=True), predict() and predict(pred_contrib=True) of each.
"""

import json
import pathlib
import sys

import lightgbm as lgb
import numpy as np
import pandas as pd

QUIET = {"verbose": -1, "num_threads": 1, "deterministic": True, "force_row_wise": True, "seed": 7}
SMALL = QUIET | {"objective": "binary", "num_leaves": 8, "min_data_in_leaf": 5, "min_data_per_group": 5,
                 "cat_smooth": 1, "max_cat_to_onehot": 3}
ROWS = 60
out = pathlib.Path(__file__).parent / "lightgbm"


def numbers(rng, n):
    """Six columns: two normal, small integers with zeros, a skewed one, codes of 80 and of 4 categories."""
    X = np.column_stack([
        rng.normal(size=n), rng.normal(size=n), rng.integers(-2, 3, n), rng.lognormal(0, 2, n),
        rng.integers(0, 80, n), rng.integers(0, 4, n),
    ]).astype(float)
    X[:, :4][rng.random((n, 4)) < 0.15] = np.nan
    return X


def labels(rng, X):
    Z = np.nan_to_num(X, nan=-0.7)
    effect = np.random.default_rng(3).normal(size=80)
    z = Z[:, 0] + np.sin(3 * Z[:, 1]) + (Z[:, 2] == 0) + 0.3 * np.log1p(np.abs(Z[:, 3])) + effect[Z[:, 4].astype(int) % 80]
    return (rng.random(len(X)) < 1 / (1 + np.exp(-z))).astype(int)


def queries(rng, n):
    """Rows to score: like those of the training, with missing values everywhere, codes that the
    training never saw, and numbers at the edge of what LightGBM takes for zero."""
    X = numbers(rng, n)
    X[rng.random(X.shape) < 0.1] = np.nan
    odd = [0.0, -0.0, 1e-36, -1e-36, 1e-35, 1.0000000180025095e-35, -1.0000000180025095e-35, 2e-35, 1e300, -1e300, 0.5]
    for i, v in enumerate(odd):
        X[i, i % 4] = v
    X[: 8, 4] = [-1, -0.5, 2.7, 1000, 31, 32, 3e9, 79.99]
    X[: 4, 5] = [4, 64, -3, 0.5]
    return X


def cell(v):
    if v is None or (isinstance(v, (float, np.floating)) and np.isnan(v)):
        return None
    return v.item() if isinstance(v, np.generic) else v


def save(name, booster, X=None, rows=None):
    """Writes a golden; rows are X as a client would send it, by default X itself."""
    booster.save_model(str(out / f"{name}.txt"))
    (out / f"{name}.dump.json").write_text(json.dumps(booster.dump_model(), separators=(",", ":")) + "\n")
    if X is None:
        return
    rows = X.tolist() if rows is None else rows
    golden = {
        "fields": booster.feature_name(),
        "rows": [[cell(v) for v in row] for row in rows],
        "raw": booster.predict(X, raw_score=True).tolist(),
        "score": booster.predict(X).tolist(),
        "contrib": booster.predict(X, pred_contrib=True).tolist(),
    }
    (out / f"{name}.rows.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")


def goldens():
    out.mkdir(exist_ok=True)
    rng = np.random.default_rng(20240611)
    X = numbers(rng, 3000)
    y = labels(rng, X)
    Q = queries(rng, ROWS)
    w = rng.uniform(0.2, 3, len(X))

    def train(trees=12, cats=(), weight=None, label=y, **params):
        return lgb.train(SMALL | params, lgb.Dataset(X, label, weight=weight, categorical_feature=list(cats)), trees)

    save("missing_nan", train(), Q)
    save("missing_none", train(use_missing=False), Q)
    save("missing_zero", train(zero_as_missing=True), Q)
    save("categorical", train(cats=[4, 5]), Q)
    save("categorical_zero", train(cats=[4, 5], zero_as_missing=True), Q)
    save("forest", train(cats=[4], boosting="rf", bagging_freq=1, bagging_fraction=0.6, feature_fraction=0.7), Q)
    save("dart", train(cats=[5], boosting="dart", drop_rate=0.5, learning_rate=0.3), Q)
    save("sigmoid", train(sigmoid=0.7), Q)
    save("cross_entropy", train(objective="cross_entropy", weight=w, label=0.8 * y + 0.1), Q)
    save("no_average", train(boost_from_average=False, is_unbalance=True), Q)
    save("constant", train(min_data_in_leaf=3000), Q)
    save("deep", train(trees=4, cats=[4], num_leaves=120, min_data_in_leaf=1, learning_rate=0.5), Q)
    custom = lgb.train(SMALL | {"objective": lambda p, d: (1 / (1 + np.exp(-p)) - d.get_label(), np.full(len(p), 0.25))},
                       lgb.Dataset(X, y), 6)
    save("custom_objective", custom, Q)
    first = lgb.train(SMALL | {"zero_as_missing": True}, lgb.Dataset(X, y, free_raw_data=False), 5)
    second = lgb.train(SMALL, lgb.Dataset(X, y, free_raw_data=False, categorical_feature=[4]), 5, init_model=first)
    save("continued", second, Q)

    pandas_golden(rng)
    multiplicity = np.clip(np.nan_to_num(X[:, 2]) + 2, 0, 2).astype(int)
    save("refuse_linear", train(trees=2, linear_tree=True))
    save("refuse_multiclass", train(trees=2, objective="multiclass", num_class=3, label=multiplicity))
    save("refuse_regression", train(trees=2, objective="regression"))
    save("refuse_lambda", train(trees=2, objective="cross_entropy_lambda"))


def pandas_golden(rng):
    """Categories by name, number and truth; one column never varies, so that LightGBM drops it."""
    towns = ["Aachen", "Köln", 'say "hi"', "a,b", "new york", ""]
    sizes = [1.5, 2.0, 3.0, 10.0]

    def frame(n, towns, sizes):
        return pd.DataFrame({
            "age": rng.uniform(18, 80, n).round(1),
            "same": ["always"] * n,
            "town": rng.choice(np.array(towns, dtype=object), n),
            "member": rng.choice(np.array([True, False, None], dtype=object), n),
            "size": rng.choice(np.array(sizes + [None], dtype=object), n),
            "visits": rng.integers(0, 9, n).astype(float),
        })

    def typed(f):
        return f.astype({c: "category" for c in ("same", "town", "member", "size")})

    f = frame(2000, towns, sizes)
    z = (f.age - 50) / 15 + f.town.map(dict(zip(towns, [1, -1, 0.5, -2, 2, 0]))) + (f["size"] == 2.0) * 1.5 - (f.member == True)  # noqa: E712
    y = (rng.random(len(f)) < 1 / (1 + np.exp(-z.astype(float)))).astype(int)
    b = lgb.train(SMALL, lgb.Dataset(typed(f), y), 12)
    q = frame(ROWS, towns + ["unseen", None], sizes + [4.0])
    q.loc[:5, "same"] = "never"
    save("pandas", b, typed(q), [list(r) for r in q.itertuples(index=False)])


def large(folder):
    """Little-endian float64: rows.f64 (100 000 × 20), MODEL.raw.f64, and MODEL.contrib.f64 of the
    first 1000 rows; numbers have no categorical columns, mixed has three."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)

    def data(n):
        X = rng.normal(size=(n, 20))
        X[:, 5] = np.round(X[:, 5] * 3)
        for column, k in zip(range(15, 20), (12, 4, 40, 3, 2)):
            X[:, column] = rng.integers(0, k, n)
        X[rng.random(X.shape) < 0.05] = np.nan
        return X

    X = data(50_000)
    Z = np.nan_to_num(X)
    effect = rng.normal(size=40)
    z = 0.7 * Z[:, 0] + np.sin(2 * Z[:, 1]) + Z[:, 2] * Z[:, 3] + 0.7 * effect[Z[:, 17].astype(int)] + 0.3 * effect[Z[:, 15].astype(int)]
    y = (rng.random(len(X)) < 1 / (1 + np.exp(-z))).astype(int)
    R = data(100_000)
    R[:, 15:20] += np.where(rng.random((len(R), 5)) < 0.03, 50, 0)  # codes the training never saw
    R.tofile(folder / "rows.f64")
    for kind, cats in (("numbers", []), ("mixed", [15, 16, 17])):
        for trees in (100, 500):
            b = lgb.train(QUIET | {"objective": "binary", "num_leaves": 31}, lgb.Dataset(X, y, categorical_feature=cats), trees)
            name = f"{kind}-{trees}x31"
            b.save_model(str(folder / f"{name}.txt"))
            (folder / f"{name}.dump.json").write_text(json.dumps(b.dump_model()))
            b.predict(R, raw_score=True).tofile(folder / f"{name}.raw.f64")
            b.predict(R[:1000], pred_contrib=True).tofile(folder / f"{name}.contrib.f64")


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "large":
        large(sys.argv[2])
    elif len(sys.argv) == 1:
        goldens()
    else:
        sys.exit(__doc__)
