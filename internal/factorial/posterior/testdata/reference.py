"""Samples the exact posterior of the logistic regression over levels and pairs, for
the Laplace approximation to be held against: Hamiltonian Monte Carlo with a leapfrog
integrator and Metropolis correction (R. M. Neal, MCMC using Hamiltonian dynamics, 2011).

Run in this folder with Python 3.11 or later; it takes less than a minute:
    pip install numpy==2.4.6
    python reference.py          # writes reference.json
"""

import json
import pathlib

import numpy as np

CHAINS, WARMUP, KEPT, STEPS = 64, 1_000, 8_000, 16
SD = (3.0, 1.0, 0.5)  # intercept, levels, pairs


def columns(design, context, variant, cell):
    """The effects in the order of package posterior: the intercept, design levels, context
    levels with unknown, then by design factor its pairs with later ones and with contexts."""
    levels, cells = [], []
    for n in reversed(design):
        levels.insert(0, variant % n)
        variant //= n
    for n in reversed(context):
        cells.insert(0, cell % (n + 1))
        cell //= n + 1
    one = lambda n, l: [float(l == i) for i in range(1, n)]
    mains = [one(n, l) for n, l in zip(design, levels)]
    contexts = [one(n + 1, l) for n, l in zip(context, cells)]
    row = [1.0] + sum(mains, []) + sum(contexts, [])
    sd = [SD[0]] + [SD[1]] * (len(row) - 1)
    for f, a in enumerate(mains):
        for other in mains[f + 1:] + contexts:
            row += [x * y for x in a for y in other]
    return row, sd + [SD[2]] * (len(row) - len(sd))


def posterior(X, n, y, sd):
    precision = 1 / np.square(sd)

    def value(theta):
        eta = theta @ X.T
        return (y * eta - n * np.logaddexp(0, eta)).sum(1) - 0.5 * (precision * theta**2).sum(1)

    def gradient(theta):
        return (y - n / (1 + np.exp(-(theta @ X.T)))) @ X - precision * theta

    def curvature(theta):
        p = 1 / (1 + np.exp(-(X @ theta)))
        return X.T @ (X * (n * p * (1 - p))[:, None]) + np.diag(precision)

    return value, gradient, curvature


def sample(X, n, y, sd, seed):
    """Draws, in coordinates in which the Laplace approximation is a standard normal."""
    value, gradient, curvature = posterior(X, n, y, sd)
    rng = np.random.default_rng(seed)
    mode = np.zeros(X.shape[1])
    for _ in range(50):
        mode = mode + np.linalg.solve(curvature(mode), gradient(mode[None])[0])
    scale = np.linalg.inv(np.linalg.cholesky(curvature(mode)))  # theta = mode + x @ scale
    position = rng.normal(size=(CHAINS, len(mode)))
    step, kept, accepted = 0.5 / len(mode) ** 0.25, [], []
    for t in range(WARMUP + KEPT):
        x, p = position.copy(), rng.normal(size=position.shape)
        before = value(mode + x @ scale) - 0.5 * (p**2).sum(1)
        h = step * rng.uniform(0.8, 1.2)
        p += 0.5 * h * gradient(mode + x @ scale) @ scale.T
        for s in range(STEPS):
            x += h * p
            p += (0.5 if s == STEPS - 1 else 1) * h * gradient(mode + x @ scale) @ scale.T
        take = np.log(rng.uniform(size=CHAINS)) < value(mode + x @ scale) - 0.5 * (p**2).sum(1) - before
        position[take] = x[take]
        if t >= WARMUP:
            kept.append(mode + position @ scale)
            accepted.append(take.mean())
    draws = np.array(kept)  # time, chain, parameter
    between = draws.mean(0).std(0) / np.sqrt(CHAINS)  # Monte Carlo standard error of the mean
    return mode, draws.reshape(-1, len(mode)), between, float(np.mean(accepted))


def case(name, design, context, observed, seed):
    rows = [columns(design, context, o["variant"], o["cell"]) for o in observed]
    X, sd = np.array([r[0] for r in rows]), np.array(rows[0][1])
    used = X.any(0)
    X, sd = X[:, used], sd[used]
    n = np.array([o["n"] for o in observed], float)
    y = np.array([o["sum"] for o in observed], float)
    mode, draws, error, accepted = sample(X, n, y, sd, seed)
    rates = 1 / (1 + np.exp(-(draws @ X.T)))
    quantiles = lambda a: np.quantile(a, [0.025, 0.5, 0.975], axis=0).T.tolist()
    print(name, "acceptance", accepted, "greatest standard error in sds", float((error / draws.std(0)).max()))
    return {
        "name": name, "design": design, "context": context, "observed": observed,
        "parameters": np.flatnonzero(used).tolist(), "mode": mode.tolist(),
        "mean": draws.mean(0).tolist(), "sd": draws.std(0).tolist(), "quantiles": quantiles(draws),
        "rateMean": rates.mean(0).tolist(), "rateQuantiles": quantiles(rates),
    }


def simulated(design, context, exposures, base, seed):
    """Counts of every variant in every known cell, from a truth drawn from the prior."""
    rng = np.random.default_rng(seed)
    known = [c for c in range(int(np.prod([n + 1 for n in context], dtype=int)))
             if all((c // int(np.prod([m + 1 for m in context[i + 1:]], dtype=int))) % (n + 1) < n for i, n in enumerate(context))]
    pairs = [(v, c) for v in range(int(np.prod(design))) for c in known]
    rows = [columns(design, context, v, c) for v, c in pairs]
    theta = rng.normal(size=len(rows[0][1])) * 0.5 * np.array(rows[0][1])
    theta[0] = base
    observed = []
    for (v, c), (x, _) in zip(pairs, rows):
        n = int(rng.poisson(exposures))
        if n:
            observed.append({"variant": v, "cell": c, "n": n, "sum": int(rng.binomial(n, 1 / (1 + np.exp(-np.dot(x, theta)))))})
    return observed


if __name__ == "__main__":
    spec = [{"variant": v, "cell": 0, "n": n, "sum": y} for v, (n, y) in enumerate([(1000, 200), (500, 105), (500, 120), (2000, 620)])]
    cases = [
        case("four variants, many exposures", [2, 2], [], spec, 1),
        case("twelve variants in two contexts, 200 exposures of each", [3, 2, 2], [2], simulated([3, 2, 2], [2], 200, -2.0, 11), 2),
        case("twelve variants in two contexts, 8 exposures of each, few conversions", [3, 2, 2], [2], simulated([3, 2, 2], [2], 8, -3.0, 12), 3),
    ]
    path = pathlib.Path(__file__).parent / "reference.json"
    text = ",\n".join(json.dumps({k: [round(x, 6) if isinstance(x, float) else x for x in v] if k in ("mode", "mean", "sd", "rateMean") else
                                  [[round(x, 6) for x in q] for q in v] if "uantiles" in k else v for k, v in c.items()}) for c in cases)
    path.write_text("[\n" + text + "\n]\n")
