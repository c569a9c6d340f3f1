"""Writes chain.json: chains of audit entries, hashed from the description in
../doc.go alone, with nothing but Python's standard library.

Run in this folder with Python 3.11:
    python chain.py
With a file, it checks that as an export in NDJSON instead:
    python chain.py audit.ndjson
"""

import hashlib
import json
import math
import sys


def number(v):
    """ECMAScript's Number::toString for finite numbers."""
    if isinstance(v, int):
        v = float(v)
    if v == 0:
        return "0"
    sign, v = ("-", -v) if v < 0 else ("", v)
    mantissa, exponent = f"{v!r}e0".split("e")[:2] if "e" in repr(v) else (repr(v), "0")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent) - (len(whole + fraction) - len((whole + fraction).lstrip("0")))
    digits = digits.rstrip("0")
    k, n = len(digits), point
    if k <= n <= 21:
        text = digits + "0" * (n - k)
    elif 0 < n <= 21:
        text = digits[:n] + "." + digits[n:]
    elif -6 < n <= 0:
        text = "0." + "0" * -n + digits
    else:
        e = f"e{'+' if n > 0 else '-'}{abs(n - 1)}"
        text = (digits if k == 1 else digits[0] + "." + digits[1:]) + e
    return sign + text


def canonical(v):
    """RFC 8785."""
    if v is None or isinstance(v, bool):
        return json.dumps(v)
    if isinstance(v, (int, float)):
        assert math.isfinite(v)
        return number(v)
    if isinstance(v, str):
        return json.dumps(v, ensure_ascii=False)
    if isinstance(v, list):
        return "[" + ",".join(map(canonical, v)) + "]"
    names = sorted(v, key=lambda name: name.encode("utf-16-be"))
    return "{" + ",".join(canonical(n) + ":" + canonical(v[n]) for n in names) + "}"


def netstring(text):
    b = text.encode()
    return str(len(b)).encode() + b":" + b + b","


ORDER = ["prevHash", "id", "tenantId", "timestamp", "actor", "keyId", "requestId", "action", "entityType", "entityId", "entityName"]


def link(entry, head):
    entry = entry | {"prevHash": head}
    form = b"praetor audit 1\n" + b"".join(netstring(entry[f]) for f in ORDER)
    form += netstring(canonical(entry["before"])) + netstring(canonical(entry["after"]))
    return entry | {"integrityHash": hashlib.sha256(form).hexdigest(), "canonical": form.decode()}


def entry(i, tenant, timestamp, before, after, **texts):
    base = {"id": f"aud_{i}", "tenantId": tenant, "timestamp": timestamp, "actor": "", "keyId": "", "requestId": "", "action": "update",
            "entityType": "algorithm_model", "entityId": f"model_{i:03}", "entityName": "", "before": before, "after": after}
    return base | texts


def chain(entries):
    head, out = "0" * 64, []
    for e in entries:
        out.append(link(e, head))
        head = out[-1]["integrityHash"]
    return out


def check(path):
    """Holds every entry of an export against its own hash and the one before."""
    head, n = None, 0
    with open(path, encoding="utf-8") as f:
        for n, line in enumerate(f, 1):
            e = json.loads(line)
            if head is not None and e["prevHash"] != head or link(e, e["prevHash"])["integrityHash"] != e["integrityHash"]:
                sys.exit(f"broken at {e['id']}")
            head = e["integrityHash"]
    print(f"intact: {n} entries up to {head}")


if len(sys.argv) > 1:
    check(sys.argv[1])
    sys.exit()

chains = [
    chain([entry(1, "bank", "2026-03-14T06:00:00.000Z", None, {"b": 1, "a": [True, None, "x"]})]),
    chain([
        entry(1, "bank", "2026-03-14T06:00:00.000Z", None, {"key": "cards", "status": "draft"}, action="create", actor="alice@example.com",
              keyId="key_1", requestId="req-1", entityName="Credit Card Propensity"),
        entry(2, "bank", "2026-03-14T06:00:00.001Z", {"status": "draft"}, {"status": "challenger"}, action="registry", actor="system"),
        entry(3, "bank", "2026-12-31T23:59:59.999Z", {"auc": 0.79, "n": 3241}, {"auc": 1e-7, "n": 1e21, "m": -0.0, "o": 1.5e300, "p": 5e-324},
              entityName="Größe, 12:3, \"quoted\" \\ \n\u0001\u007f\u2028"),
        entry(4, "bank", "2027-01-01T00:00:00.000Z", {"": 0, "\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\u0080": 6, "\u00f6": 7},
              [333333333.33333329, 1e30, 4.50, 2e-3, 0.000001, 1e-7, 123456789012345680000, 100, 12.5, -17]),
        entry(5, "bank", "2027-01-01T00:00:00.000Z", {"html": "<b>&amp;</b>"}, None, action="delete", entityName="=1+1"),
    ]),
    chain([entry(i, "größe", f"2026-03-{i % 28 + 1:02}T06:00:00.000Z", {"v": i - 1}, {"v": i, "share": i / 7}) for i in range(1, 41)]),
]
with open("chain.json", "w") as f:
    json.dump(chains, f, indent=0)
    f.write("\n")
