"""Writes reference.json: quantiles of Beta distributions, the probability of being the best
of several, and discounted counts.

Run in this folder with Python 3.11:
    pip install numpy==2.4.6 scipy==1.17.1 mpmath==1.3.0 && python reference.py

intervals: the 2.5 % and 97.5 % quantiles by scipy, and by mpmath in fifty digits where
a parameter is below 1 and scipy's may underflow; beside each the density there, which
turns an error of a probability into one of the quantile.
draws: the means of x and of its square, with the standard deviation of either, and
quantiles of ln(x/(1-x)), which tells apart what rounds to 0 or 1, by the same.
best: P(best) is integrated over that axis, with 200 000 nodes of Gauss and Legendre, 20 to
a panel; densities and distribution functions are scipy's.
discount: every outcome's weight times the discount to the power of its age in days.
"""

import functools
import json

import mpmath as mp
import numpy as np
from scipy import special, stats

mp.mp.dps = 50
SHAPES = [
    (1, 1), (0.5, 0.5), (2, 3), (22, 80), (65, 38), (12, 90), (0.2, 5), (5, 0.2), (1, 1000), (300, 0.7), (1e4, 2e4),
    (1e-3, 1e-3), (1e-3, 2), (0.01, 0.03), (1e-6, 1), (1e9, 1e9), (1e9, 10), (10, 1e9), (1e9, 3e8), (1e12, 1e12),
]
TAIL = 1e-290  # below it x**a/(a*B(a, b)) is the distribution function in every digit


@functools.cache
def logit_quantile(a, b, p):
    """ln(x/(1-x)) of the quantile x, and x itself as a float."""
    if min(a, b) >= 1:
        x, rest = special.betaincinv(a, b, p), special.betainccinv(b, a, p)  # rest = 1 - x
        assert abs(x + rest - 1) < 1e-15
        return float(np.log(x) - np.log(rest)), float(x)

    def excess(y):
        if y < 0:
            return mp.betainc(a, b, 0, 1 / (1 + mp.exp(-y)), regularized=True) - p
        return (1 - p) - mp.betainc(b, a, 0, 1 / (1 + mp.exp(y)), regularized=True)

    low, high = mp.mpf(-1), mp.mpf(1)
    while excess(low) > 0:
        low *= 2
    while excess(high) < 0:
        high *= 2
    for _ in range(80):
        y = (low + high) / 2
        low, high = (low, y) if excess(y) > 0 else (y, high)
    return float(y), float(1 / (1 + mp.exp(-y)))


def density(a, b, x):
    if 0 < x < 1:
        return float(stats.beta.pdf(x, a, b))
    return 0.0  # rounded to the end


def interval(a, b):
    lower, upper = logit_quantile(a, b, 0.025)[1], logit_quantile(a, b, 0.975)[1]
    return {"alpha": a, "beta": b, "mean": float(stats.beta.mean(a, b)), "lower": lower, "upper": upper,
            "densityLower": density(a, b, lower), "densityUpper": density(a, b, upper)}


LEVELS = [0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999]


def moment(a, b, k):
    """The mean of x**k in fifty digits."""
    return mp.fprod((mp.mpf(a) + i) / (mp.mpf(a) + mp.mpf(b) + i) for i in range(k))


def draws(a, b):
    return {"alpha": a, "beta": b, "moments": [float(moment(a, b, k)) for k in (1, 2)],
            "deviations": [float(mp.sqrt(moment(a, b, 2 * k) - moment(a, b, k) ** 2)) for k in (1, 2)],
            "quantiles": [logit_quantile(a, b, p)[0] for p in LEVELS]}


def density_of_logit(y, a, b):
    """x (1-x) times the density of x."""
    if max(a, b) < 1e5:
        return np.exp(a * special.log_expit(y) + b * special.log_expit(-y) - special.betaln(a, b))
    # That form would lose its digits to cancellation; scipy's density does not.
    x, rest = np.maximum(special.expit(y), TAIL), np.maximum(special.expit(-y), TAIL)
    return np.where(y < 0, stats.beta.pdf(x, a, b), stats.beta.pdf(rest, b, a)) * x * rest


def distribution(y, a, b):
    x, rest = special.expit(y), special.expit(-y)
    with np.errstate(all="ignore"):
        f = np.where(y < 0, special.betainc(a, b, x), special.betaincc(b, a, rest))
        f = np.where(x < TAIL, np.exp(a * y - np.log(a) - special.betaln(a, b)), f)
        return np.where(rest < TAIL, -np.expm1(-b * y - np.log(b) - special.betaln(a, b)), f)


def best(arms):
    ends = [logit_quantile(a, b, p)[0] for a, b in arms for p in (1e-11, 1 - 1e-11)]
    # Panels as dense as the arms' own quantiles, so that a narrow arm among wide ones is resolved.
    inner = [logit_quantile(a, b, p)[0] for a, b in set(arms) for p in (1e-11, 1e-6, 1e-3, 0.1, 0.5, 0.9, 0.999, 1 - 1e-6, 1 - 1e-11)]
    stops = np.unique(np.concatenate([np.linspace(min(ends), max(ends), 200), inner, [0.0]]))
    stops = np.unique(np.concatenate([np.linspace(s, e, max(2, 10_000 // len(stops))) for s, e in zip(stops[:-1], stops[1:])]))
    nodes, node_weights = np.polynomial.legendre.leggauss(20)
    half = np.diff(stops)[:, None] / 2
    y = (stops[:-1, None] + half * (1 + nodes)).ravel()
    w = (half * node_weights).ravel()
    f = np.array([density_of_logit(y, a, b) for a, b in arms])
    F = np.array([distribution(y, a, b) for a, b in arms])
    p = np.array([np.sum(w * f[i] * np.prod(np.delete(F, i, 0), axis=0)) for i in range(len(arms))])
    assert abs(p.sum() - 1) < 2e-9, (arms, p, p.sum())
    return {"arms": arms, "probabilities": p.tolist()}


def discount(gamma, prior, n, seed):
    rng = np.random.default_rng(seed)
    start = 1_700_000_000_000
    at = start + np.sort(rng.integers(0, 30 * 86_400_000, n))
    late = rng.uniform(size=n) < 0.2  # these come out of order
    at = np.where(late, at - rng.integers(0, 5 * 86_400_000, n), at)
    positive, weight = rng.uniform(size=n) < 0.3, np.round(rng.uniform(0.5, 3, n), 3)
    age = (at.max() - at) / 86_400_000
    faded = weight * gamma**age
    return {"discount": gamma, "priorAlpha": prior[0], "priorBeta": prior[1], "at": at.tolist(), "positive": positive.tolist(),
            "weight": weight.tolist(), "alpha": prior[0] + float(faded[positive].sum()), "beta": prior[1] + float(faded[~positive].sum())}


rng = np.random.default_rng(20240605)
twenty = [(round(float(a), 2), round(float(b), 2)) for a, b in zip(rng.uniform(5, 60, 20), rng.uniform(60, 900, 20))]
out = {
    "intervals": [interval(a, b) for a, b in SHAPES],
    "levels": LEVELS,
    "draws": [draws(a, b) for a, b in SHAPES],
    "best": [best(arms) for arms in [
        [(22, 80), (65, 38), (12, 90)],
        [(2, 3), (3, 2)],
        [(0.5, 0.5), (2, 3), (1, 1)],
        [(1e-3, 1e-3), (1, 1), (0.3, 4)],
        [(1e-6, 1), (1, 1e-3), (0.2, 0.7)],
        [(1e9, 1e9), (1e9 + 3e4, 1e9), (500, 500)],
        [(1e9, 10), (1e8, 1), (3, 1e-3)],
        [(2000, 1e6), (1900, 1e6), (7, 3000), (1, 1)],
        twenty,
    ]],
    "discount": [discount(0.9, (1, 1), 60, 1), discount(0.5, (2, 7), 60, 2), discount(0.999, (0.1, 0.1), 200, 3), discount(1, (1, 4), 60, 4)],
}
with open("reference.json", "w") as f:
    f.write("{\n" + ",\n".join(f" {json.dumps(k)}: {json.dumps(v)}" for k, v in out.items()) + "\n}\n")
