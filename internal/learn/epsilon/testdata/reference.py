"""Writes reference.json: Wilson's intervals by scipy, and the formulas of the rate, of the
exploration and of the propensities in numpy.

Run in this folder with Python 3.11:
    pip install numpy==2.4.6 scipy==1.17.1 && python reference.py
"""

import json

import numpy as np
from scipy import stats


def decision(epsilon, decay, rewards, pulls, total):
    rewards, pulls = np.array(rewards), np.array(pulls)
    rates = np.where(pulls > 0, rewards / np.maximum(pulls, 1), 1.0)
    now = epsilon / (1 + decay * total)
    propensities = np.full(len(rates), now / len(rates))
    propensities[np.argmax(rates)] += 1 - now  # argmax is the first of equal ones
    bounds = []
    for k, n in zip(rewards, pulls):
        ci = stats.binomtest(int(k), int(n)).proportion_ci(0.95, method="wilson") if n else (0.0, 1.0)
        bounds.append([float(ci[0]), float(ci[1])])
    return {
        "epsilon": epsilon, "decayRate": decay, "totalReward": rewards.tolist(), "pulls": pulls.tolist(), "totalPulls": total,
        "now": now, "rates": rates.tolist(), "propensities": propensities.tolist(), "intervals": bounds,
    }


cases = [
    decision(0.0, 0.0, [65, 30, 18], [100, 100, 100], 300),
    decision(0.1, 0.0, [65, 30, 18], [100, 100, 100], 300),
    decision(0.3, 0.01, [0, 5, 5, 1], [0, 5, 5, 3], 13),
    decision(1.0, 0.0, [1, 0], [1, 1], 2),
    decision(0.25, 1.0, [0, 999_999_999, 1], [1_000_000_000, 1_000_000_000, 1_000_000], 2_001_000_000),
    decision(0.05, 0.001, list(range(40)), [40 + 3 * i for i in range(40)], 12_345),
]
with open("reference.json", "w") as f:
    f.write("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
