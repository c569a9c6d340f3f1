"""Writes compare.json: which of several Beta-distributed rates is the greatest, and the
expected loss of choosing the one with the greatest mean, by scipy's quadrature; by
Fractions where the parameters are whole and the arms two.

Run in this folder with Python 3.11:
    pip install numpy==2.4.6 scipy==1.17.1 && python compare.py
"""

import json
from fractions import Fraction
from math import factorial

import numpy as np
from scipy import integrate, stats


def compare(name, arms):
    dists = [stats.beta(a, b) for a, b in arms]
    means = [a / (a + b) for a, b in arms]
    leader = int(np.argmax(means))
    points = sorted({float(q) for d in dists for q in d.ppf([1e-9, 1e-6, 1e-3, 0.03, 0.25, 0.5, 0.75, 0.97, 0.999, 1 - 1e-6, 1 - 1e-9])} | {0.0, 1.0})

    def integral(f):
        return sum(integrate.quad(f, x, y, epsabs=1e-14, epsrel=1e-12, limit=400)[0] for x, y in zip(points, points[1:]) if y > x)

    def others(x, i):
        return float(np.prod([d.cdf(x) for k, d in enumerate(dists) if k != i]))

    if min(min(a) for a in arms) < 1:  # the density has a pole: over the quantiles
        best = [integrate.quad(lambda u: others(dists[i].ppf(u), i), 0, 1, epsabs=1e-11, epsrel=1e-11, limit=400)[0] for i in range(len(arms))]
    else:
        best = [integral(lambda x: dists[i].pdf(x) * others(x, i)) for i in range(len(arms))]
    loss = integral(lambda x: dists[leader].cdf(x) * (1 - others(x, leader)))
    return {
        "name": name, "arms": arms, "leader": leader, "best": best, "loss": loss,
        "lower": [float(d.ppf(0.025)) for d in dists], "upper": [float(d.ppf(0.975)) for d in dists],
    }


def whole_beta(a, b):
    return Fraction(factorial(a - 1) * factorial(b - 1), factorial(a + b - 1))


def beats(a, b, c, d):
    """P(Beta(c, d) > Beta(a, b)) for whole parameters: the density of the one by parts
    against the binomial sum that is the CDF of the other."""
    # 1 - F_{c,d}(x) = sum over j < c of C(c+d-1, j) x^j (1-x)^(c+d-1-j)
    n = c + d - 1
    return sum(Fraction(factorial(n), factorial(j) * factorial(n - j)) * whole_beta(a + j, b + n - j) for j in range(c)) / whole_beta(a, b)


def exact(name, first, second):
    (a, b), (c, d) = first, second
    p = beats(a, b, c, d)
    # E[(Y − X)+] = E[Y; Y > X] − E[X; Y > X], each a probability with a parameter one up.
    ex, ey = Fraction(a, a + b), Fraction(c, c + d)
    leader = 0 if ex >= ey else 1
    gain = lambda x, y: (Fraction(y[0], sum(y)) * beats(*x, y[0] + 1, y[1]) - Fraction(x[0], sum(x)) * beats(x[0] + 1, x[1], *y))
    loss = gain(first, second) if leader == 0 else gain(second, first)
    case = compare(name, [list(first), list(second)])
    assert abs(case["best"][1] - float(p)) < 1e-10 and abs(case["loss"] - float(loss)) < 1e-10, (case, float(p), float(loss))
    return case | {"best": [float(1 - p), float(p)], "loss": float(loss)}


cases = [
    exact("two, uniform", (1, 1), (1, 1)),
    exact("two, close", (21, 181), (31, 171)),
    exact("two, far", (301, 701), (401, 601)),
    exact("two, one unknown", (51, 951), (1, 1)),
    exact("two, little of either", (2, 3), (3, 2)),
    compare("three, uniform", [[1, 1]] * 3),
    compare("five", [[12, 90], [20, 100], [18, 85], [3, 30], [1, 1]]),
    compare("rare events", [[31.5, 60000], [45.25, 61000], [40, 59000.5]]),
    compare("small parameters", [[0.5, 0.5], [0.1, 2.5], [3.75, 0.25]]),
    compare("much evidence", [[50_000, 950_000], [50_400, 950_000], [49_000, 951_000]]),
    compare("equal", [[5000, 95_000]] * 4),
    compare("eight", [[2 + i, 100 - 3 * i] for i in range(8)]),
]
with open("compare.json", "w") as f:
    f.write("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
