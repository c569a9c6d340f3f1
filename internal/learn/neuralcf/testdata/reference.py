"""Writes reference.json: a small network's scores by PyTorch, and its weights after batches.

Run in this folder with Python 3.11:
    pip install numpy==2.4.6 torch==2.15.0 && python reference.py

All of it is in double precision, from weights that single precision holds exactly. The
gradients are autograd's and the network's steps those of torch.optim.Adagrad. The step of
the embeddings, one rate for a whole embedding and the penalty as a division, is written
out. A batch's rows are [customer, offer, label], the label being the weight, negative for a
negative row; the place after the last is the unknown, the mean of its table, through which
no gradient goes. It stays as it was at the start, as it does within a pass.
"""

import json

import numpy as np
import torch

torch.set_default_dtype(torch.float64)
USERS, ITEMS, D, H = 5, 4, 6, 8
RATE, L2 = 0.15, 15.0
rng = np.random.default_rng(20240606)


def single(*shape, scale=1.0):
    return torch.tensor((rng.normal(size=shape) * scale).astype(np.float32).astype(np.float64))


users, items = single(USERS, D, scale=0.6), single(ITEMS, D, scale=0.6)
w1, b1, w2, b2 = single(H, 2 * D, scale=0.4), single(H, scale=0.3), single(H, scale=0.7), single(1, scale=0.5)


def with_mean(table):
    return torch.cat([table, table.mean(0, keepdim=True)])


def margin(u, v):
    hidden = torch.relu(b1 + torch.cat([u, v], 1) @ w1.T)
    return b2 + hidden @ w2


state = {
    "dim": D, "hidden": H, "users": {f"user-{i}": users[i].tolist() for i in range(USERS)},
    "items": {f"item-{i}": items[i].tolist() for i in range(ITEMS)},
    "w1": w1.tolist(), "b1": b1.tolist(), "w2": w2.tolist(), "b2": b2.item(),
}
scores = [torch.sigmoid(margin(with_mean(users)[[i]].expand(ITEMS + 1, D), with_mean(items))).tolist() for i in range(USERS + 1)]

batches = []
for size in (1, 6, 16, 16):
    batches.append([[int(rng.integers(USERS + 1)), int(rng.integers(ITEMS + 1)), float(np.float32(rng.choice([-1, 1]) * rng.choice([1, 0.5, 2.25])))]
                    for _ in range(size)])
counts = {  # of each: how many rows of the training it has
    "users": [int(rng.integers(20, 60)) for _ in range(USERS)], "items": [int(rng.integers(20, 60)) for _ in range(ITEMS)],
}

network = [w1, b1, w2, b2]
for w in network:
    w.requires_grad_()
optimizer = torch.optim.Adagrad(network, lr=RATE, eps=1e-8)
means = [users.mean(0, keepdim=True), items.mean(0, keepdim=True)]
squares = [np.zeros(USERS), np.zeros(ITEMS)]
steps = []
for batch in batches:
    u, v, labels = (torch.tensor(c) for c in zip(*batch))
    tables = [users.clone().requires_grad_(), items.clone().requires_grad_()]
    z = margin(torch.cat([tables[0], means[0]])[u], torch.cat([tables[1], means[1]])[v])
    losses = labels.abs() * torch.nn.functional.binary_cross_entropy_with_logits(z, (labels > 0).double(), reduction="none")
    optimizer.zero_grad()
    losses.sum().backward()
    gradients = {"w1": w1.grad.tolist(), "b1": b1.grad.tolist(), "w2": w2.grad.tolist(), "b2": b2.grad.item(),
                 "users": tables[0].grad.tolist(), "items": tables[1].grad.tolist()}
    for w in network:
        w.grad /= len(batch)
    optimizer.step()
    for k, (table, places, rows) in enumerate([(users, u, counts["users"]), (items, v, counts["items"])]):
        for i in range(len(table)):
            times = int((places == i).sum())
            if times == 0:
                continue
            g = tables[k].grad[i]
            squares[k][i] += float(g @ g) / D
            rate = RATE / np.sqrt(1 + squares[k][i])
            table[i] = (table[i] - rate * g) / (1 + rate * L2 * times / rows[i])
    steps.append({"batch": batch, "gradients": gradients, "users": users.tolist(), "items": items.tolist(),
                  "w1": w1.tolist(), "b1": b1.tolist(), "w2": w2.tolist(), "b2": b2.item()})

with open("reference.json", "w") as f:
    json.dump({"state": state, "scores": scores, "learningRate": RATE, "l2": L2, "counts": counts, "steps": steps}, f)
    f.write("\n")
