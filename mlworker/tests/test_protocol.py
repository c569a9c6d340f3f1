import contextlib
import json
import random

import pytest
from conftest import header

from praetor_mlworker.protocol import MAX_COLUMNS, Refusal, parse_header

LIMITS = (20_000_000, 4 << 30)


def parse(head) -> object:
    return parse_header(head if isinstance(head, bytes) else json.dumps(head).encode(), *LIMITS)


def changed(path: str, value) -> dict:
    head = header(100, categorical={1: 5})
    *parents, last = path.split(".")
    at = head
    for key in parents:
        at = at[int(key) if key.isdigit() else key]
    if value is KeyError:
        del at[last]
    else:
        at[last] = value
    return head


def test_good():
    got = parse(header(100, columns=3, categorical={1: 5}, learningRate=1))
    assert (got.rows, got.row_bytes(), got.body_bytes()) == (100, 32, 3200)
    assert (got.columns[1].name, got.columns[1].categorical, got.columns[1].categories) == ("c1", True, 5)
    assert got.params["learningRate"] == 1.0 and isinstance(got.params["learningRate"], float)


@pytest.mark.parametrize(
    "path, value, want",
    [
        ("protocol", 2, "header.protocol: got 2, want 1"),
        ("protocol", True, "header.protocol"),
        ("columns", [], "header.columns: want a list of 1"),
        ("columns", {}, "header.columns"),
        ("columns", [header(1)["columns"][0]] * (MAX_COLUMNS + 1), "header.columns"),
        ("columns", [7], "header.columns[0]: got 7, want an object"),
        ("columns.0.name", "", "header.columns[0].name"),
        ("columns.0.name", "n" * 1025, "header.columns[0].name"),
        ("columns.0.name", 7, "header.columns[0].name"),
        ("columns.0.categorical", 1, "header.columns[0].categorical: got 1, want true or false"),
        ("columns.0.categories", 3, "header.columns[0].categories: got 3, want 0 for a number"),
        ("columns.1.categories", -1, "header.columns[1].categories: got -1"),
        ("columns.1.categories", 100_001, "header.columns[1].categories"),
        ("columns.1.categories", KeyError, "header.columns[1]: categories is missing"),
        ("rows", 0, "header.rows: got 0, want a whole number from 1"),
        ("rows", -1, "header.rows"),
        ("rows", 1.5, "header.rows: got 1.5"),
        ("rows", "5", 'header.rows: got "5"'),
        ("rows", True, "header.rows: got true"),
        ("rows", 10**4000, "header.rows"),
        ("rows", KeyError, "header: rows is missing"),
        ("colour", "red", 'header: "colour" is not a field'),
        ("params", [], "header.params: got a list, want an object"),
        ("params.depth", 3, 'header.params: "depth" is not a field'),
        ("params.seed", KeyError, "header.params: seed is missing"),
        ("params.numTrees", 0, "header.params.numTrees"),
        ("params.numTrees", 10_001, "header.params.numTrees"),
        ("params.numLeaves", 1, "header.params.numLeaves"),
        ("params.numLeaves", 4097, "header.params.numLeaves"),
        ("params.learningRate", 0, "header.params.learningRate: got 0, want a number from"),
        ("params.learningRate", 1e400, "not valid JSON"),
        ("params.learningRate", float("nan"), "not valid JSON"),
        ("params.minDataInLeaf", -5, "header.params.minDataInLeaf"),
        ("params.featureFraction", 1.01, "header.params.featureFraction"),
        ("params.seed", 2**31, "header.params.seed"),
    ],
)
def test_refused(path, value, want):
    with pytest.raises(Refusal) as e:
        parse(changed(path, value))
    assert (e.value.status, e.value.code) == (400, "BAD_REQUEST")
    assert want in e.value.message and len(e.value.message) < 300


def test_trees_times_leaves():
    with pytest.raises(Refusal) as e:
        parse(header(100, numTrees=10_000, numLeaves=101))
    assert "numTrees × numLeaves is 1010000, want at most 1000000" in e.value.message


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"protocol":NaN}', b"1" * 10_000])
def test_garbage(raw):
    with pytest.raises(Refusal) as e:
        parse(raw)
    assert e.value.status == 400


def test_mutations_of_a_good_header_never_raise_anything_else():
    good, rnd = json.dumps(header(100, categorical={1: 5})).encode(), random.Random(1)
    for _ in range(3000):
        raw = bytearray(good)
        for _ in range(rnd.randint(1, 4)):
            raw[rnd.randrange(len(raw))] = rnd.randrange(256)
        with contextlib.suppress(Refusal):
            parse(bytes(raw))


@pytest.mark.parametrize(
    "head, want",
    [
        (header(20_000_001), "ML_WORKER_MAX_ROWS"),
        (header(20_000_000, columns=100), "ML_WORKER_MAX_BYTES"),
        (header(10, columns=MAX_COLUMNS, numLeaves=4096), "ML_WORKER_MAX_BYTES"),
        (header(2**53, columns=MAX_COLUMNS), "ML_WORKER_MAX_ROWS"),
    ],
)
def test_too_large(head, want):
    with pytest.raises(Refusal) as e:
        parse(head)
    assert e.value.status == 413 and want in e.value.message
