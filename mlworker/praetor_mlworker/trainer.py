"""One training, in a process of its own: task and rows on stdin, lines on stdout.

Run as a script by job.py. A process of its own gives every byte back, and takes
nobody with it when LightGBM or the system's memory killer ends it. It reads one
task (length, JSON) and then the rows, writes JSON lines, the last of which holds
the model or the error, and exits with 0; any other exit means that the last line
is missing. Its stdin stays open during the training: when it closes, the worker
is gone and so is the reason to go on.
"""

import json
import os
import select
import struct
import threading
import time

import numpy

READ_BYTES = 4 << 20  # rows converted at a time
QUIET_SECONDS = 0.2  # between two lines of progress
BEAT_SECONDS = 5.0  # a line at least this often, so that silence means trouble
MAX_MESSAGE = 300


class BadRows(Exception):
    """Rows that are not what the header said."""


class Reporter:
    """Writes the lines; repeats the last progress when nothing moves."""

    def __init__(self):
        self._out = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)  # what a library prints is no line of ours
        self._lock = threading.Lock()
        self._done, self._at, self._final = 0.0, 0.0, False

    def progress(self, done: float) -> None:
        self._done = done
        if time.monotonic() - self._at >= QUIET_SECONDS:
            self._write({"progress": round(done, 4)})

    def beat(self) -> None:
        if time.monotonic() - self._at >= BEAT_SECONDS:
            self._write({"progress": round(self._done, 4)})

    def final(self, line: dict) -> None:
        self._write(line, final=True)

    def _write(self, line: dict, final: bool = False) -> None:
        text = json.dumps(line).encode() + b"\n"
        with self._lock:
            if self._final:
                return
            self._final = final
            self._out.write(text)
            self._out.flush()
            self._at = time.monotonic()


def read_exact(stream, view: memoryview) -> None:
    while len(view):
        n = stream.readinto(view)
        if not n:
            os._exit(3)  # the worker is gone: nobody to tell
        view = view[n:]


def read_task(stream) -> dict:
    length = bytearray(4)
    read_exact(stream, memoryview(length))
    raw = bytearray(struct.unpack("<I", length)[0])
    read_exact(stream, memoryview(raw))
    return json.loads(raw)


def read_rows(stream, task: dict):
    """The rows as LightGBM wants them: values (rows × columns), labels, weights."""
    rows, columns = task["rows"], task["columns"]
    layout = numpy.dtype([("label", "<f4"), ("weight", "<f4"), ("values", "<f8", (len(columns),))])
    values = numpy.empty((rows, len(columns)), numpy.float64)
    labels = numpy.empty(rows, numpy.float32)
    weights = numpy.empty(rows, numpy.float32)
    batch = max(1, READ_BYTES // layout.itemsize)
    buffer = memoryview(bytearray(min(batch, rows) * layout.itemsize))
    for start in range(0, rows, batch):
        end = min(start + batch, rows)
        part = buffer[: (end - start) * layout.itemsize]
        read_exact(stream, part)
        block = numpy.frombuffer(part, layout)
        values[start:end], labels[start:end], weights[start:end] = block["values"], block["label"], block["weight"]
        check_rows(values[start:end], labels[start:end], weights[start:end], columns, start)
    positives = int(labels.sum(dtype=numpy.float64))
    if positives == 0 or positives == rows:
        raise BadRows(f"rows: {positives} of {rows} labels are 1, want both classes")
    if not weights.any():
        raise BadRows("rows: every weight is 0")
    return values, labels, weights


def check_rows(values, labels, weights, columns: list[dict], start: int) -> None:
    """Raises BadRows that names the first row at fault, never its value."""

    def want(ok, what: str, column: dict | None = None) -> None:
        if not ok.all():
            where = f'rows[{start + int(ok.argmin())}]' + (f' column "{column["name"]}"' if column else "")
            raise BadRows(f"{where}: want {what}")

    want((labels == 0) | (labels == 1), "a label of 0 or 1")
    want(numpy.isfinite(weights) & (weights >= 0), "a finite weight of at least 0")
    infinite = numpy.isinf(values)
    if infinite.any():
        i = int(infinite.any(axis=0).argmax())
        want(~infinite[:, i], "a finite number or NaN", columns[i])
    for i, column in enumerate(columns):
        if column["categorical"]:
            codes, n = values[:, i], column["categories"]
            ok = numpy.isnan(codes) | ((codes >= 0) & (codes < n) & (codes == numpy.floor(codes)))
            want(ok, f"a code from 0 to {n - 1} or NaN", column)


# The L2 penalty on leaf values. LightGBM's own default, 0, lets a leaf of few
# rows, such as a rare category's, take an extreme value; 1 is XGBoost's default.
# Five-fold cross-validation on the training rows of the UCI Bank Marketing data:
# AUC 0.7999 against 0.7988.
LEAF_PENALTY = 1.0


def parameters(task: dict) -> dict:
    """LightGBM's parameters. With `deterministic` and one histogram layout the
    same rows give the same trees, whatever the number of threads.
    """
    params = task["params"]
    return {
        "objective": "binary",
        "num_leaves": params["numLeaves"],
        "learning_rate": params["learningRate"],
        "min_data_in_leaf": params["minDataInLeaf"],
        "feature_fraction": params["featureFraction"],
        "lambda_l2": LEAF_PENALTY,
        "seed": params["seed"],
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": task["threads"],
        "verbosity": -1,
    }


def train(stream, task: dict, reporter: Reporter) -> dict:
    """Read the rows, fit the trees; the last line."""
    rows = list(read_rows(stream, task))
    reporter.progress(0.0)  # the rows are accepted
    threading.Thread(target=watch, args=(reporter,), daemon=True).start()
    import lightgbm

    lightgbm.register_logger(Quiet())
    started = time.monotonic()
    params = parameters(task)
    data = lightgbm.Dataset(
        rows[0],
        label=rows[1],
        weight=rows[2],
        feature_name=[f"f{i}" for i in range(len(task["columns"]))],
        categorical_feature=[i for i, c in enumerate(task["columns"]) if c["categorical"]],
        params=params,
    )
    data.construct()
    rows.clear()  # LightGBM keeps its bins only
    booster = lightgbm.Booster(params, data)
    trees = task["params"]["numTrees"]
    for i in range(trees):
        if booster.update():  # no leaf can be split any more
            break
        reporter.progress((i + 1) / trees)
    return {
        "model": booster.model_to_string(),
        "trees": booster.num_trees(),
        "seconds": round(time.monotonic() - started, 3),
    }


class Quiet:
    """Keeps LightGBM's own messages out of stdout and of the logs."""

    def info(self, _message: str) -> None: ...

    def warning(self, _message: str) -> None: ...


def watch(reporter: Reporter) -> None:
    """End this process when the worker is gone; give signs of life meanwhile."""
    while True:
        if select.select([0], [], [], BEAT_SECONDS / 5)[0] and not os.read(0, 1):
            os._exit(3)
        reporter.beat()


def be_expendable(nice: int) -> None:
    """Ask the system to take this process first, for its CPU and its memory."""
    import resource

    os.nice(nice)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")
    except OSError:
        pass  # no Linux


def failure(code: str, message: str) -> dict:
    return {"error": {"code": code, "message": message[:MAX_MESSAGE]}}


def main() -> None:
    reporter = Reporter()
    stream = open(0, "rb", buffering=0, closefd=False)
    task = read_task(stream)
    be_expendable(task["nice"])
    try:
        line = train(stream, task, reporter)
    except BadRows as e:
        line = failure("BAD_REQUEST", str(e))
    except MemoryError:
        line = failure("OUT_OF_MEMORY", "the training ran out of memory")
    except Exception as e:  # LightGBM's own errors are plain Exceptions
        if "bad_alloc" in str(e):
            line = failure("OUT_OF_MEMORY", "the training ran out of memory")
        else:
            line = failure("TRAINING_FAILED", f"{type(e).__name__}: {e}")
    reporter.final(line)
    os._exit(0)  # not through the destructors of a library that has done its work


if __name__ == "__main__":
    main()
