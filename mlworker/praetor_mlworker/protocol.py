"""The header of a training request: its shape, its bounds, and what it will cost.

Everything is checked here before a row is read or memory for one is set aside.
"""

import json
import math
import struct
from dataclasses import asdict, dataclass

PROTOCOL = 1
CONTENT_TYPE = "application/x-praetor-train"

HEADER_LENGTH = struct.Struct("<I")
MAX_HEADER_BYTES = 4 << 20
MAX_COLUMNS = 10_000
MAX_NAME = 1024  # characters
MAX_CATEGORIES = 100_000
# Leaves of all trees together; a leaf takes 110 bytes of model text, so this
# keeps an answer under the 256 MiB that the engine takes.
MAX_LEAVES = 1_000_000
# LightGBM's default max_bin; a histogram entry is a sum of gradients and one of
# hessians, 8 bytes each.
MAX_BIN = 255
HISTOGRAM_ENTRY_BYTES = 16
# LightGBM's default bin_construct_sample_cnt; a sampled value is kept with its
# row's number while the bins are found.
SAMPLED_ROWS = 200_000
SAMPLED_VALUE_BYTES = 12

# name: (type, least, most)
_PARAMS = {
    "numTrees": (int, 1, 10_000),
    "numLeaves": (int, 2, 4096),
    "learningRate": (float, 1e-6, 1.0),
    "minDataInLeaf": (int, 1, 1_000_000_000),
    "featureFraction": (float, 1e-6, 1.0),
    "seed": (int, 0, 2**31 - 1),
}


class Refusal(Exception):
    """A request that is answered with an error instead of a training."""

    def __init__(self, status: int, code: str, message: str, **headers: str):
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, headers


def bad_request(message: str) -> Refusal:
    return Refusal(400, "BAD_REQUEST", message)


def too_large(message: str) -> Refusal:
    return Refusal(413, "PAYLOAD_TOO_LARGE", message)


@dataclass(frozen=True)
class Column:
    name: str
    categorical: bool
    categories: int  # codes are 0 … categories−1; 0 for a number


@dataclass(frozen=True)
class Header:
    columns: list[Column]
    rows: int
    params: dict[str, int | float]

    def row_bytes(self) -> int:
        """Length of a row on the wire: label, weight, a float64 per column."""
        return 8 + 8 * len(self.columns)

    def body_bytes(self) -> int:
        """Length of all rows on the wire."""
        return self.rows * self.row_bytes()

    def memory_bytes(self) -> int:
        """What the training takes beside its libraries (about 60 MB): the rows as
        they came, the sample that the bins are made from, a byte per value for
        its bin, 64 bytes per row for gradients, scores and the order of the rows,
        and a histogram of every column for every leaf. Measured peaks are within
        50 MB of it, or below.
        """
        sample = min(self.rows, SAMPLED_ROWS) * len(self.columns) * SAMPLED_VALUE_BYTES
        bins = self.rows * (len(self.columns) + 64)
        histograms = self.params["numLeaves"] * len(self.columns) * (MAX_BIN + 1) * HISTOGRAM_ENTRY_BYTES
        return self.body_bytes() + sample + bins + histograms

    def task(self, threads: int, nice: int) -> bytes:
        """What the training process reads ahead of the rows."""
        task = json.dumps({**asdict(self), "threads": threads, "nice": nice}).encode()
        return HEADER_LENGTH.pack(len(task)) + task


def parse_header(raw: bytes, max_rows: int, max_bytes: int) -> Header:
    """Decode and check a header; raises Refusal."""
    try:
        fields = json.loads(raw, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise bad_request("header: not valid JSON in UTF-8") from None
    _keys(fields, "header", {"protocol", "columns", "rows", "params"})
    if fields["protocol"] != PROTOCOL or isinstance(fields["protocol"], bool):
        raise bad_request(f"header.protocol: got {_show(fields['protocol'])}, want {PROTOCOL}")
    columns = fields["columns"]
    if not isinstance(columns, list) or not 1 <= len(columns) <= MAX_COLUMNS:
        raise bad_request(f"header.columns: want a list of 1 to {MAX_COLUMNS}")
    header = Header(
        columns=[_column(c, f"header.columns[{i}]") for i, c in enumerate(columns)],
        rows=_number(fields["rows"], "header.rows", int, 1, 2**53),
        params=_params(fields["params"]),
    )
    if header.rows > max_rows:
        raise too_large(f"header.rows: got {header.rows}, want at most {max_rows} (ML_WORKER_MAX_ROWS)")
    if (need := header.memory_bytes()) > max_bytes:
        raise too_large(
            f"{header.rows} rows of {len(header.columns)} columns with {header.params['numLeaves']} leaves "
            f"need {need} bytes of memory, want at most {max_bytes} (ML_WORKER_MAX_BYTES)"
        )
    return header


def _column(fields, path: str) -> Column:
    _keys(fields, path, {"name", "categorical", "categories"})
    name, categorical = fields["name"], fields["categorical"]
    if not isinstance(name, str) or not 1 <= len(name) <= MAX_NAME:
        raise bad_request(f"{path}.name: want a text of 1 to {MAX_NAME} characters")
    if not isinstance(categorical, bool):
        raise bad_request(f"{path}.categorical: got {_show(categorical)}, want true or false")
    categories = _number(fields["categories"], f"{path}.categories", int, 0, MAX_CATEGORIES)
    if not categorical and categories:
        raise bad_request(f"{path}.categories: got {categories}, want 0 for a number")
    return Column(name, categorical, categories)


def _params(fields) -> dict[str, int | float]:
    _keys(fields, "header.params", set(_PARAMS))
    params = {name: _number(fields[name], f"header.params.{name}", *rule) for name, rule in _PARAMS.items()}
    if (leaves := params["numTrees"] * params["numLeaves"]) > MAX_LEAVES:
        raise bad_request(f"header.params: numTrees × numLeaves is {leaves}, want at most {MAX_LEAVES}")
    return params


def _keys(fields, path: str, want: set[str]) -> None:
    if not isinstance(fields, dict):
        raise bad_request(f"{path}: got {_show(fields)}, want an object")
    if missing := want - fields.keys():
        raise bad_request(f"{path}: {sorted(missing)[0]} is missing")
    if extra := fields.keys() - want:
        raise bad_request(f"{path}: {_show(min(extra))} is not a field; want {', '.join(sorted(want))}")


def _number(value, path: str, kind: type, least, most):
    ok = isinstance(value, int) or (kind is float and isinstance(value, float) and math.isfinite(value))
    if not ok or isinstance(value, bool) or not least <= value <= most:
        what = "a whole number" if kind is int else "a number"
        raise bad_request(f"{path}: got {_show(value)}, want {what} from {least} to {most}")
    return kind(value)


def _show(value) -> str:
    """A value for a message, cut short; nested ones only by their kind."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    try:
        text = json.dumps(value)
    except ValueError:  # a whole number beyond Python's limit of digits
        return "a number"
    return text if len(text) <= 40 else text[:40] + "…"


def _refuse_constant(name: str):
    raise ValueError(name)
