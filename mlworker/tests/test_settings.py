import pytest

from praetor_mlworker.settings import Settings, SettingsError, from_environment


def test_defaults():
    got = from_environment({"ML_WORKER_PORT": "", "HOME": "/"})
    assert got == Settings()
    assert (got.host, got.port, got.max_rows, got.max_bytes, got.concurrency) == ("127.0.0.1", 8000, 20_000_000, 4 << 30, 1)
    assert got.training_threads() >= 1


def test_values():
    got = from_environment({"ML_WORKER_PORT": "9000", "ML_WORKER_TOKEN": "secret", "ML_WORKER_HOST": "0.0.0.0", "ML_WORKER_THREADS": "3"})
    assert (got.port, got.token, got.host, got.training_threads()) == (9000, "secret", "0.0.0.0", 3)
    assert "secret" not in repr(got)


def test_every_problem_is_named():
    with pytest.raises(SettingsError) as e:
        from_environment({"ML_WORKER_PORT": "70000", "ML_WORKER_CONCURRENCY": "-1", "ML_WORKER_TIMEOUT": "1h", "ML_WORKER_HOST": "10.0.0.1"})
    for name in ("ML_WORKER_PORT", "ML_WORKER_CONCURRENCY", "ML_WORKER_TIMEOUT", "ML_WORKER_TOKEN"):
        assert name in str(e.value)


@pytest.mark.parametrize("token", ["two words", "line\nbreak", "umläut"])
def test_a_token_that_is_no_header_value(token):
    with pytest.raises(SettingsError) as e:
        from_environment({"ML_WORKER_TOKEN": token})
    assert token not in str(e.value)
