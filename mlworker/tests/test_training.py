"""Trainings: what they give, and how they end early."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import lightgbm
import pytest
from conftest import ENDLESS, alive, body, encode, finish, header, rows, until

from praetor_mlworker.protocol import parse_header

CATEGORICAL = {1: 12, 2: 3}
ACCEPTED = 'import os,sys,time; os.write(1, b\'{"progress": 0.0}\\n\'); '


def directly(n: int, columns: int, **params) -> str:
    """The model of the same rows by LightGBM in this process."""
    block = rows(n, columns, CATEGORICAL)
    p = header(n, **params)["params"]
    options = {
        "objective": "binary", "num_leaves": p["numLeaves"], "learning_rate": p["learningRate"],
        "min_data_in_leaf": p["minDataInLeaf"], "feature_fraction": p["featureFraction"], "lambda_l2": 1.0, "seed": p["seed"],
        "deterministic": True, "force_row_wise": True, "num_threads": 1, "verbosity": -1,
    }  # fmt: skip
    data = lightgbm.Dataset(
        block["values"].copy(), block["label"].copy(), weight=block["weight"].copy(),
        feature_name=[f"f{i}" for i in range(columns)], categorical_feature=list(CATEGORICAL), params=options,
    )  # fmt: skip
    return lightgbm.train(options, data, p["numTrees"]).model_to_string()


def trees(model: str) -> str:
    """The model without its list of parameters."""
    return model[: model.index("\nparameters:")]


def test_model_is_that_of_the_library(start):
    n, columns, params = 3000, 6, {"numTrees": 30, "numLeaves": 15, "featureFraction": 0.8}
    worker = start()
    got = worker.ask(body(n, columns, CATEGORICAL, **params))
    assert (got.status, got.headers["Content-Type"], got.complete) == (200, "application/x-ndjson", True)
    *progress, final = got.lines
    assert trees(final["model"]) == trees(directly(n, columns, **params))
    assert "feature_names=f0 f1 f2 f3 f4 f5" in final["model"]
    assert final["trees"] == 30 and final["seconds"] >= 0 and set(final) == {"model", "trees", "seconds"}
    shares = [line["progress"] for line in progress]
    assert shares[0] == 0 and shares == sorted(shares) and shares[-1] <= 1

    again = worker.ask(iter([body(n, columns, CATEGORICAL, **params)]), {"Transfer-Encoding": "chunked"}, chunked=True)
    assert again.lines[-1]["model"] == final["model"]
    other = worker.ask(body(n, columns, CATEGORICAL, **params, seed=8))
    assert trees(other.lines[-1]["model"]) != trees(final["model"])


def test_threads_do_not_change_the_model(start):
    models = []
    for threads in (1, 3):
        worker = start()
        object.__setattr__(worker.service.settings, "threads", threads)
        models.append(trees(worker.ask(body(2000, 3)).lines[-1]["model"]))
    assert models[0] == models[1]


@pytest.mark.parametrize("n, params", [(2, {}), (30, {"minDataInLeaf": 1000}), (50, {"numLeaves": 2})])
def test_few_rows(start, n, params):
    block = rows(n)
    block["label"][:2] = 0, 1
    got = start().ask(encode(header(n, **params)) + block.tobytes())
    assert got.status == 200 and got.lines[-1]["model"].startswith("tree\n") and got.lines[-1]["trees"] >= 1


@pytest.mark.parametrize(
    "field, at, value, want",
    [
        ("label", 150, 2, "rows[150]: want a label of 0 or 1"),
        ("label", 3, float("nan"), "rows[3]: want a label of 0 or 1"),
        ("weight", 7, -1, "rows[7]: want a finite weight"),
        ("weight", 7, float("inf"), "rows[7]: want a finite weight"),
        ("values", (9, 0), float("inf"), 'rows[9] column "c0": want a finite number or NaN'),
        ("values", (9, 1), 12, 'rows[9] column "c1": want a code from 0 to 11 or NaN'),
        ("values", (9, 1), -1, 'rows[9] column "c1": want a code'),
        ("values", (9, 2), 0.5, 'rows[9] column "c2": want a code from 0 to 2'),
        ("label", slice(None), 0, "rows: 0 of 200 labels are 1, want both classes"),
        ("label", slice(None), 1, "rows: 200 of 200 labels are 1, want both classes"),
        ("weight", slice(None), 0, "rows: every weight is 0"),
    ],
)
def test_bad_rows(start, field, at, value, want):
    block = rows(200, 3, CATEGORICAL)
    block[field][at] = value
    got = start().ask(encode(header(200, 3, CATEGORICAL)) + block.tobytes())
    assert (got.status, got.code) == (400, "BAD_REQUEST") and want in got.message


def test_bad_first_row_of_many(start):
    """The refusal comes while the rows are still on their way."""
    block = rows(1_000_000, 3)
    block["label"][0] = 5
    got = start().ask(encode(header(1_000_000)) + block.tobytes())
    assert got.status == 400 and "rows[0]" in got.message


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of a process is read from /proc")
def test_memory_stays_under_the_estimate(start):
    n, columns = 200_000, 20
    head = header(n, columns, numTrees=3, numLeaves=31)
    worker = start()
    connection = worker.open(encode(head) + rows(n, columns).tobytes())
    status, peak = Path(f"/proc/{worker.jobs[0].pid}/status"), 0
    while (text := read_status(status)) and (found := re.search(r"VmHWM:\s+(\d+) kB", text)):
        peak = max(peak, int(found.group(1)) << 10)
        time.sleep(0.005)
    assert finish(connection).lines[-1]["trees"] == 3
    estimate = parse_header(json.dumps(head).encode(), n, 1 << 40).memory_bytes()
    assert n * columns * 8 < peak < estimate + (100 << 20)


def read_status(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # the process has ended
        return ""


def test_cancel_ends_the_training(start):
    worker = start()
    connection = worker.open(body(20_000, **ENDLESS))
    response = connection.getresponse()
    assert response.status == 200 and b"progress" in response.readline()
    (job,) = worker.jobs
    assert alive(job.pid)
    response.close()
    connection.close()
    assert until(lambda: not alive(job.pid))
    assert worker.ask(body()).status == 200  # the turn was given back


def test_client_that_leaves_while_sending(start):
    worker = start()
    content = body(100_000)
    with worker.connect() as connection:
        head = f"POST /train HTTP/1.1\r\nHost: w\r\nContent-Type: application/x-praetor-train\r\nContent-Length: {len(content)}\r\n\r\n"
        connection.sendall(head.encode() + content[: len(content) // 2])
        assert until(lambda: worker.jobs)
    assert until(lambda: not alive(worker.jobs[0].pid))
    assert worker.ask(body()).status == 200


@pytest.mark.parametrize("number, code", [(signal.SIGKILL, "OUT_OF_MEMORY"), (signal.SIGSEGV, "CRASHED")])
def test_killed_training(start, number, code):
    worker = start()
    connection = worker.open(body(20_000, **ENDLESS))
    response = connection.getresponse()
    assert b"progress" in response.readline()
    os.kill(worker.jobs[0].pid, number)
    last = json.loads(response.read().splitlines()[-1])
    connection.close()
    assert last["error"]["code"] == code
    assert worker.ask(body()).status == 200


@pytest.mark.parametrize(
    "script, status, code",
    [
        ("import sys; sys.exit(7)", 500, "CRASHED"),
        ("import os; os.abort()", 500, "CRASHED"),
        ("raise ImportError('libgomp')", 500, "CRASHED"),
        ("import time; time.sleep(600)", 500, "TIMEOUT"),
        (ACCEPTED + "time.sleep(600)", 200, "TIMEOUT"),
        (ACCEPTED + "sys.exit(3)", 200, "CRASHED"),
        (ACCEPTED + "os.abort()", 200, "CRASHED"),
    ],
)
def test_broken_trainer(start, script, status, code):
    worker = start(script, timeout=2)
    got = worker.ask(body())
    assert got.status == status and got.complete
    assert got.lines[-1]["error"]["code"] == code
    assert until(lambda: not alive(worker.jobs[0].pid))


def test_broken_within_a_line(start):
    """A model that is cut off must not look like an answer."""
    got = start(ACCEPTED + "sys.stdin.buffer.read(10); os.write(1, b'{\"model\": \"tree'); os.abort()").ask(body())
    assert got.status == 200 and not got.complete


def test_trainer_that_never_ends(start):
    worker = start(ACCEPTED + "\nwhile True: os.write(1, b'{\"progress\": 0.5}\\n'); time.sleep(0.05)", timeout=1)
    got = worker.ask(body())
    assert got.lines[-1]["error"]["code"] == "TIMEOUT"


def test_stuck_trainer_under_many_rows(start):
    """Rows that nobody reads do not block past the time-out."""
    got = start("import time; time.sleep(600)", timeout=1).ask(body(200_000))
    assert (got.status, got.code) == (500, "TIMEOUT")


def test_busy(start):
    worker = start(ACCEPTED + "sys.stdin.read()", concurrency=1, queue=1, queue_timeout=1)
    running = worker.open(body())
    assert until(lambda: worker.jobs)
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(worker.ask(body())))
    waiting.start()
    assert until(lambda: worker.service.gate._places._value == 0)
    refused = worker.ask(body())
    assert (refused.status, refused.code, refused.headers["Retry-After"]) == (503, "BUSY", "5")
    waiting.join()
    assert answers[0].status == 503  # its turn did not come in time
    assert worker.ask(method="GET", path="/health").status == 200
    running.close()


def test_queue_serves_in_turn(start):
    worker = start(concurrency=1, queue=3)
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(worker.ask(body()).status)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 4


@pytest.fixture
def process(tmp_path):
    """A worker as `make` starts it, and its port."""
    root, log = Path(__file__).resolve().parents[1], tmp_path / "log"
    environment = os.environ | {"ML_WORKER_PORT": "0", "ML_WORKER_TOKEN": ""}
    with log.open("w") as stderr, subprocess.Popen([sys.executable, "-m", "praetor_mlworker"], cwd=root, stderr=stderr, env=environment) as worker:
        try:
            assert until(lambda: '"listening"' in log.read_text(), 30)
            yield worker, int(re.search(r'"port": (\d+)', log.read_text()).group(1))
        finally:
            worker.kill()


@pytest.mark.parametrize("number, want", [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 0)])
def test_training_ends_with_the_worker(process, number, want):
    """A worker that is killed leaves no training behind; a stopped one exits with 0."""
    worker, port = process
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", "/train", body(20_000, **ENDLESS), {"Content-Type": "application/x-praetor-train"})
    response = connection.getresponse()  # without a name it would close the connection
    assert b"progress" in response.readline()
    children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(worker.pid)], capture_output=True, text=True).stdout.split()
    assert len(children) == 1
    worker.send_signal(number)
    assert worker.wait(20) == want
    assert until(lambda: not alive(int(children[0])))
    response.close()
    connection.close()
