"""Writes reference.json: estimates of the Open Bandit Pipeline on simulated logs and, where
its folder is given, on the Open Bandit Dataset.

Run in this folder with Python 3.11:
    pip install numpy==2.4.6 pandas==3.1.1 scikit-learn==1.9.1 && pip install --no-deps obp==0.4.1
    python reference.py [FOLDER OF obd_random_men.csv.gz AND obd_bts_men.csv.gz]

obp's estimators import torch for the training of policies, which nothing here does: an empty
module stands in for it. Standard errors are those of the mean of obp's own rounds, with n-1;
of the ratio of snips, those of its influence function.
"""

import importlib.util
import json
import pathlib
import sys
import types

import numpy as np
import pandas as pd

torch = types.ModuleType("torch")
torch.Tensor = type("Tensor", (), {})
sys.modules["torch"] = torch
root = pathlib.Path(importlib.util.find_spec("obp").submodule_search_locations[0])


def load(name):
    spec = importlib.util.spec_from_file_location(name, root / (name.removeprefix("obp.").replace(".", "/") + ".py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


for package in ("obp", "obp.ope"):
    module = types.ModuleType(package)
    module.__path__ = [str(root / package.removeprefix("obp").lstrip("."))]
    sys.modules[package] = module
load("obp.utils")
estimators = load("obp.ope.estimators")


def mean(rounds):
    return {"value": float(rounds.mean()), "stdErr": float(rounds.std(ddof=1) / np.sqrt(len(rounds)))}


def evaluate(reward, action, pscore, target, model):
    """target and model: (n, arms)."""
    n, k = target.shape
    position = np.zeros(n, dtype=int)
    dist, q = target[:, :, None], model[:, :, None]
    common = dict(reward=reward, action=action, position=position, action_dist=dist)
    ips = estimators.InverseProbabilityWeighting()
    snips = estimators.SelfNormalizedInverseProbabilityWeighting()
    dr = estimators.DoublyRobust()
    w = target[np.arange(n), action] / pscore
    out = {
        "ips": mean(ips._estimate_round_rewards(pscore=pscore, **common)),
        "snips": {"value": float(snips.estimate_policy_value(pscore=pscore, **common))},
        "dr": mean(dr._estimate_round_rewards(pscore=pscore, estimated_rewards_by_reg_model=q, **common)),
        "effectiveN": float(w.sum() ** 2 / (w**2).sum()),
        "maxWeight": float(w.max()),
    }
    psi = w * (reward - out["snips"]["value"]) / w.mean()
    out["snips"]["stdErr"] = float(np.sqrt((psi**2).sum() / (n * (n - 1))))
    if np.isin(target, (0, 1)).all() and np.allclose(pscore, pscore[0]):
        replay = estimators.ReplayMethod()
        out["replay"] = {"value": float(replay.estimate_policy_value(**common)), "n": int((w > 0).sum())}
    return out


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def simulated(name, seed, n, k, uniform, greedy, scale=1.0):
    rng = np.random.default_rng(seed)
    logit = rng.normal(-1, 1, (n, k))
    pi = np.full((n, k), 1 / k) if uniform else softmax(rng.normal(0, 1, (n, k)))
    target = softmax(2 * logit + rng.normal(0, 1, (n, k)))
    if greedy:
        target = (target == target.max(axis=1, keepdims=True)).astype(float)
    action = np.array([rng.choice(k, p=p) for p in pi])
    reward = scale * (rng.random(n) < 1 / (1 + np.exp(-logit[np.arange(n), action])))
    model = scale / (1 + np.exp(-logit - rng.normal(0, 0.3, (n, k))))
    pscore = pi[np.arange(n), action]
    chosen = model[np.arange(n), action]
    return {
        "name": name,
        "reward": reward.tolist(), "propensity": pscore.tolist(), "target": target[np.arange(n), action].tolist(),
        "predicted": chosen.tolist(), "expected": (target * model).sum(axis=1).tolist(),
        "want": evaluate(reward, action, pscore, target, model),
    }


def open_bandit(folder):
    """Bernoulli Thompson sampling on the log of the uniform policy. Its probabilities of
    the items at each position are the frequencies in its own log."""
    random = pd.read_csv(f"{folder}/obd_random_men.csv.gz")
    bts = pd.read_csv(f"{folder}/obd_bts_men.csv.gz")
    k = int(random.item_id.max()) + 1
    counts = np.zeros((3, k))
    np.add.at(counts, (bts.position - 1, bts.item_id), 1)
    dist = counts / counts.sum(axis=1, keepdims=True)
    target = dist[random.position - 1]
    n = len(random)
    reward, action = random.click.to_numpy(float), random.item_id.to_numpy()
    want = evaluate(reward, action, random.propensity_score.to_numpy(), target, np.zeros((n, k)))
    del want["dr"]
    return {"random": mean(reward), "bts": mean(bts.click.to_numpy(float)), "want": want}


out = {
    "simulated": [
        simulated("softmax log, softmax policy", 1, 400, 5, False, False),
        simulated("softmax log, deterministic policy", 2, 400, 5, False, True),
        simulated("uniform log, deterministic policy", 3, 400, 4, True, True),
        simulated("uniform log, rewards of 25", 4, 300, 3, True, False, 25.0),
    ],
}
if len(sys.argv) > 1:
    out["openBandit"] = open_bandit(sys.argv[1])
else:
    with open("reference.json") as f:
        out["openBandit"] = json.load(f)["openBandit"]
with open("reference.json", "w") as f:
    json.dump(out, f)
    f.write("\n")
