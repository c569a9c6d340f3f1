"""Plays visitors against a running engine whose decisions are logged, for docs/decision-log.md.

    PRAETOR_URL=http://127.0.0.1:8080 PRAETOR_KEY=prk_… python3 docs/decision-log.py

An epsilon-greedy bandit decides among three offers; what each visitor would accept is known
here and not to the engine. Half-way a logistic regression is trained on what was recorded so
far: the challenger that `praetor evaluate` is to judge by the second half. At the end it
prints what the challenger truly earns.
"""

import json
import os
import random
import urllib.request

URL, KEY = os.environ["PRAETOR_URL"], os.environ["PRAETOR_KEY"]
VISITORS, ROUND = int(os.environ.get("VISITORS", "6000")), 50
OFFERS = ("travel", "cashback", "nofee")
RATES = {  # of acceptance, by segment and device: no offer is the best for everybody
    ("student", "phone"): (0.04, 0.10, 0.28), ("student", "desk"): (0.06, 0.12, 0.22),
    ("family", "phone"): (0.05, 0.26, 0.10), ("family", "desk"): (0.12, 0.24, 0.08),
    ("senior", "phone"): (0.18, 0.10, 0.05), ("senior", "desk"): (0.30, 0.12, 0.06),
}


def call(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": "Bearer " + KEY, "Content-Type": "application/json"}
    request = urllib.request.Request(URL + "/api/v1" + path, data, headers, method=method)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def rank(model, visitor, customer):
    """Every offer brings what tells it apart, alone and with the segment."""
    segment, device = visitor
    offers = [{"id": o, "attributes": {"offer": o, "fit": o + "/" + segment}} for o in OFFERS]
    body = {"customerId": customer, "customerAttributes": {"segment": segment, "device": device}, "offers": offers}
    return call("POST", f"/algorithm-models/{model}/score-offer-set", body)


random.seed(7)
bandit = call("POST", "/algorithm-models", {
    "key": "next-best-offer", "name": "Next best offer", "modelType": "epsilon_greedy", "config": {"epsilon": 0.3}})["id"]
challenger = call("POST", "/algorithm-models", {
    "key": "challenger", "name": "Challenger", "modelType": "logistic_regression", "predictors": ["segment", "device", "offer", "fit"]})["id"]
call("PUT", f"/algorithm-models/{bandit}/decision-log", {"enabled": True})

accepted, outcomes = 0, []
for n in range(VISITORS):
    visitor = random.choice(list(RATES))
    decision = rank(bandit, visitor, f"C{n}")
    offer = decision["scores"][0]["offerId"]
    yes = random.random() < RATES[visitor][OFFERS.index(offer)]
    accepted += yes
    outcomes.append({
        "customerId": f"C{n}", "offerId": offer, "outcome": "accept" if yes else "dismiss", "decisionId": decision["decisionId"],
        "attributes": {"segment": visitor[0], "device": visitor[1], "offer": offer, "fit": offer + "/" + visitor[0]}})
    if len(outcomes) == ROUND:
        call("POST", "/respond/bulk", {"outcomes": outcomes})
        outcomes = []
    if n == VISITORS // 2:
        trained = call("POST", f"/algorithm-models/{challenger}/train", {})
        print("challenger trained at", trained["lastTrainedAt"], "on", trained["trainingSamples"], "outcomes")

best = {v: rank(challenger, v, "nobody")["scores"][0]["offerId"] for v in RATES}
print(f"accepted: {accepted / VISITORS:.4f} of all visitors")
print(f"true value of the challenger: {sum(RATES[v][OFFERS.index(best[v])] for v in RATES) / len(RATES):.4f}")
