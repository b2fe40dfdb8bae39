"""The service over HTTP: what it answers, what it refuses and in which words, what it counts, how it ends."""

from __future__ import annotations

import http.client
import json
import math
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import pytest
import torch
from prometheus_client.parser import text_string_to_metric_families
from torch import nn

from ddl.monitoring import population_stability_index
from ddl.service import Feature, Service, server

AREA, AGE = Feature("area", 20, 400, "m²"), Feature("age", 0, 150, "years")
ROWS = [[100, 10], [50.5, 0]]


def price(rows):
    """Plain arithmetic, so that every answer is known."""
    return 3 * rows[:, 0] - rows[:, 1]


def send(service, path="/predict", body=None, method=None):
    """Return status and content, decoded if it is JSON."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    request = Request(service.url + path, data, method=method)
    try:
        with urlopen(request, timeout=10) as answer:
            status, content, kind = answer.status, answer.read(), answer.headers["Content-Type"]
    except HTTPError as error:
        with error:
            status, content, kind = error.code, error.read(), error.headers["Content-Type"]
    return status, json.loads(content) if kind == "application/json" else content.decode()


def counted(service):
    """The counts of the page, as Prometheus' own parser reads them."""
    page = send(service, "/metrics")[1]
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


@pytest.fixture
def running():
    with Service(price, [AREA, AGE]) as service:
        yield service


# Answers


def test_numbers_are_returned_for_rows(running):
    assert send(running, body={"rows": ROWS}) == (200, {"predictions": [{"value": 290}, {"value": 151.5}]})


def test_a_column_of_numbers_will_do_too():
    with Service(lambda rows: price(rows)[:, None], [AREA, AGE]) as service:
        assert send(service, body={"rows": ROWS})[1]["predictions"] == [{"value": 290}, {"value": 151.5}]


@pytest.mark.parametrize("one_logit", [False, True])
def test_classes_come_with_confidence_or_not_at_all(one_logit):
    def logits(rows):
        z = rows - 100
        return z if one_logit else torch.cat([torch.zeros_like(z), z], dim=1)

    with Service(logits, [AREA], classes=("small", "large"), abstain_below=0.9) as service:
        status, page = send(service, body={"rows": [[97], [101], [105]]})
        sure, unsure, other = (1 / (1 + math.exp(-z)) for z in (3, 1, 5))
        assert status == 200
        assert [answer["class"] for answer in page["predictions"]] == ["small", None, "large"]
        assert [answer["confidence"] for answer in page["predictions"]] == pytest.approx(
            [sure, unsure, other], abs=1e-5
        )
        counts = counted(service)
        assert counts["ddl_abstentions_total",] == 1
        assert counts["ddl_predictions_total", "small"] == counts["ddl_predictions_total", "large"] == 1


def test_health_says_what_is_served(running):
    status, page = send(running, "/health?now=1")
    assert (status, page["status"], page["max_rows"]) == (200, "ok", 100)
    assert page["features"][0] == {"name": "area", "low": 20, "high": 400, "unit": "m²"}
    assert repr(running) == f"Service of (area, age), at [{running.url}]"


# Refusals


@pytest.mark.parametrize(
    ("row", "feature", "value", "reason", "message"),
    [
        ([-5, 1], "area", "-5", "out_of_range", "area is -5 m²; it must be between 20 and 400 m²"),
        (
            [100, 150.5],
            "age",
            "150.5",
            "out_of_range",
            "age is 150.5 years; it must be between 0 and 150 years",
        ),
        (
            ["big", 1],
            "area",
            '"big"',
            "wrong_type",
            'area is "big"; it must be a number between 20 and 400 m²',
        ),
        ([True, 1], "area", "true", "wrong_type", "area is true; it must be a number between"),
        ([None, 1], "area", "null", "wrong_type", "area is null; it must be"),
        ([100, [1]], "age", "[1]", "wrong_type", "age is [1]; it must be a number between 0 and 150 years"),
        (
            [100, math.nan],
            "age",
            "NaN",
            "not_finite",
            "age is NaN; it must be a number between 0 and 150 years",
        ),
        ([math.inf, 1], "area", "Infinity", "not_finite", "area is Infinity; it must be a number"),
        ([10**80, 1], "area", "1" + "0" * 36 + "...", "out_of_range", "area is 1000"),
        ([100], None, "[100]", "wrong_length", "it has 1 values; 2 are wanted: area, age"),
        ([], None, "[]", "wrong_length", "it has 0 values; 2 are wanted: area, age"),
        ({"area": 100}, None, '{"area": 100}', "wrong_type", 'it is {"area": 100}; a list is wanted'),
        (7, None, "7", "wrong_type", "it is 7; a list is wanted"),
    ],
)
def test_a_bad_row_is_refused_in_words_that_help(running, row, feature, value, reason, message):
    status, page = send(running, body={"rows": [ROWS[0], row]})
    assert (status, page["error"]) == (422, "1 of 2 rows cannot be used; none is predicted")
    (problem,) = page["rows"]
    assert problem.pop("message").startswith(f"row 1: {message}")
    assert problem == {"row": 1, "feature": feature, "value": value, "reason": reason}
    counts = counted(running)
    assert counts["ddl_rejected_rows_total", reason] == 1
    assert ("ddl_predictions_total", "number") not in counts


def test_all_bad_rows_are_named_once(running):
    page = send(running, body={"rows": [[1, -1], ROWS[0], [100, -1]]})[1]
    assert [(problem["row"], problem["feature"]) for problem in page["rows"]] == [(0, "area"), (2, "age")]


def test_the_ends_of_a_range_belong_to_it(running):
    assert send(running, body={"rows": [[20, 0], [400, 150]]})[0] == 200


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"{", 400, "the body is not JSON: Expecting property name"),
        (b"\xff", 400, "the body is not JSON: 'utf-8' codec"),
        (b"[" * 50_000, 400, "the body is not JSON: "),
        (b"", 400, "the body is not JSON: "),
        ([ROWS], 422, 'the body must be {"rows": [[...], ...]}'),
        ({"row": ROWS}, 422, "the body must be"),
        ({"rows": ROWS, "more": 1}, 422, "the body must be"),
        ({"rows": "100,1"}, 422, "the body must be"),
        ({"rows": []}, 422, "rows is empty; send at least one"),
        ({"rows": [[100, 1]] * 101}, 413, "these are 101 rows; send at most 100 at once"),
        (b" " * 100_001, 413, "the body has 100001 bytes; send at most 100000 at once"),
    ],
)
def test_a_body_that_makes_no_sense_is_refused(running, body, status, words):
    found, page = send(running, body=body)
    assert (found, page["error"][: len(words)]) == (status, words)
    assert counted(running)["ddl_requests_total", "/predict", str(status)] == 1


def test_a_body_much_too_large_is_read_to_the_end_before_the_refusal():
    with Service(price, [AREA, AGE], max_bytes=3_000_000) as service:
        status, page = send(service, body=b" " * 30_000_000)
    assert (status, page["error"]) == (413, "the body has 30000000 bytes; send at most 3000000 at once")


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/", 404, "there is no /; there is /predict, /health, /metrics"),
        ("POST", "/predict/", 404, "there is no /predict/"),
        ("GET", "/predict", 405, "/predict takes POST, not GET"),
        ("POST", "/health", 405, "/health takes GET, not POST"),
        ("DELETE", "/metrics", 405, "/metrics takes GET, not DELETE"),
    ],
)
def test_wrong_paths_and_methods_are_refused(running, method, path, status, words):
    found, page = send(running, path, b"{}" if method == "POST" else None, method)
    assert (found, page["error"][: len(words)]) == (status, words)
    label = path if status == 405 else "other"  # callers must not be able to fill the page with paths
    assert counted(running)["ddl_requests_total", label, str(status)] == 1


def raw(service, request):
    """Send bytes as they are; return all that comes back."""
    with socket.create_connection(service.url[7:].split(":"), timeout=10) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(4096), b""))


def test_the_length_of_a_body_must_be_told(running):
    for header, words in (
        (b"", b"411 "),
        (b"Content-Length: -1\r\n", b"400 "),
        (b"Content-Length: many\r\n", b"400 "),
        (b"Content-Length: 99999999999\r\n", b"413 "),
    ):
        assert words in raw(running, b"POST /predict HTTP/1.0\r\n" + header + b"\r\n").splitlines()[0]
    assert b"Allow: POST" in raw(running, b"GET /predict HTTP/1.0\r\n\r\n")


def test_a_model_that_fails_is_no_concern_of_the_caller(capfd):
    answers = iter([torch.tensor([math.nan]), torch.ones(1)])
    with Service(lambda rows: next(answers), [AREA]) as service:
        assert send(service, body={"rows": [[100]]}) == (500, {"error": "the model failed"})
        assert str(service.error) == "the model returned numbers that are not finite"
        assert send(service, body={"rows": [[100]]})[0] == 200
        assert send(service, body={"rows": [[100]]})[0] == 500
        assert isinstance(service.error, StopIteration)
        assert counted(service)["ddl_requests_total", "/predict", "500"] == 2
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"features": []}, ValueError, "features is empty"),
        ({"classes": ("one",)}, ValueError, r"classes is \('one',\); name two or more"),
        ({"abstain_below": 0.5}, ValueError, r"classes is \(\); name two or more, which abstaining needs"),
        ({"classes": ("a", "b"), "abstain_below": 1.0}, ValueError, r"abstain_below is 1\.0; give a conf"),
        ({"max_rows": 0}, ValueError, "max_rows is 0"),
        ({"max_bytes": 1.5}, TypeError, r"max_bytes is 1\.5"),
        ({"reference": np.ones((5, 3))}, ValueError, "reference has 3 features; the service has 2"),
        ({"model": nn.Linear(2, 1)}, ValueError, r"the model is in training mode; call its eval\(\) first"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options, error, words):
    settings = {"model": price, "features": [AREA, AGE]} | options
    with pytest.raises(error, match=words):
        Service(**settings)


def test_features_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="area is to be between 5 and 5; give a finite range"):
        Feature("area", 5, 5)
    with pytest.raises(ValueError, match="area is to be between 0 and inf"):
        Feature("area", 0, math.inf)
    with pytest.raises(ValueError, match="a feature has an empty name"):
        Feature("", 0, 1)


# Counts


def test_requests_and_times_are_counted(running):
    for _ in range(3):
        send(running, body={"rows": ROWS})
    send(running, "/health")
    counts = counted(running)
    assert counts["ddl_requests_total", "/predict", "200"] == 3
    assert counts["ddl_requests_total", "/health", "200"] == 1
    assert counts["ddl_predictions_total", "number"] == 6
    assert counts["ddl_request_seconds_count",] == counts["ddl_request_seconds_bucket", "+Inf"] == 4
    assert 0 < counts["ddl_request_seconds_sum",] < 10
    assert not [key for key in counts if key[0].endswith("_created")]
    assert counted(running)["ddl_requests_total", "/metrics", "200"] == 1  # the first look


def test_rows_are_counted_that_were_too_many(running):
    send(running, body={"rows": ROWS * 60})
    assert counted(running)["ddl_rejected_rows_total", "too_many"] == 120


def test_drift_is_that_of_all_accepted_rows():
    reference = np.random.default_rng(0).uniform([20, 0], [400, 150], size=(300, 2))
    with Service(price, [AREA, AGE], reference=reference) as service:
        assert not [key for key in counted(service) if key[0] == "ddl_drift"]
        sent = np.float32(reference[:80] * [1, 0.5])
        for part in (sent[:50], sent[50:]):
            assert send(service, body={"rows": part.tolist()})[0] == 200
        assert send(service, body={"rows": [[0, 0]]})[0] == 422
        counts = counted(service)
        wanted = population_stability_index(reference, sent)
        found = [counts["ddl_drift", name] for name in ("area", "age")]
        assert found == pytest.approx(wanted)
        assert found[0] < 0.25 < found[1]


def test_many_callers_at_once_are_all_counted():
    reference = np.linspace([20, 0], [400, 150], 100)
    with Service(price, [AREA, AGE], reference=reference) as service:
        with ThreadPoolExecutor(8) as pool:
            areas = [20 + i for i in range(200)]
            pages = pool.map(lambda area: send(service, body={"rows": [[area, 10]]}), areas)
            values = [page["predictions"][0]["value"] for _, page in pages]
        assert values == [3 * area - 10 for area in areas]
        counts = counted(service)
        assert counts["ddl_predictions_total", "number"] == 200
        assert service._counts.sum() == 400


# Beginning and end


def port_is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
    return True


def threads_besides(before):
    return set(threading.enumerate()) - before


def test_afterwards_the_port_is_free_and_no_thread_is_left():
    before = set(threading.enumerate())
    with Service(price, [AREA, AGE]) as service:
        port = int(service.url.rsplit(":", 1)[1])
        send(service, body={"rows": ROWS})
        assert threads_besides(before)
    assert not threads_besides(before)
    assert port_is_free(port)
    with pytest.raises(ConnectionError):
        http.client.HTTPConnection("127.0.0.1", port, timeout=5).connect()
    with pytest.raises(RuntimeError, match="the service is not running; use it in a with block"):
        _ = service.url
    assert repr(service) == "Service of (area, age), stopped"


def test_so_it_is_after_an_exception():
    before = set(threading.enumerate())
    service = Service(price, [AREA, AGE])
    with pytest.raises(KeyError), service:  # noqa: PT012 - the port must be asked for while it is open
        port = int(service.url.rsplit(":", 1)[1])
        raise KeyError
    assert not threads_besides(before)
    assert port_is_free(port)


def test_a_service_can_be_started_again_but_not_twice():
    service = Service(price, [AREA, AGE])
    for _ in range(2):
        with service:
            assert send(service, body={"rows": ROWS})[0] == 200
            with pytest.raises(RuntimeError, match=r"running already, at http://127\.0\.0\.1:"):
                service.__enter__()
    with service:
        assert counted(service)["ddl_requests_total", "/predict", "200"] == 2


def test_the_end_waits_for_answers_under_way():
    begun, done = threading.Event(), threading.Event()

    def slow(rows):
        begun.set()
        time.sleep(0.3)
        done.set()
        return price(rows)

    with ThreadPoolExecutor(1) as pool, Service(slow, [AREA, AGE]) as service:
        pending = pool.submit(send, service, body={"rows": ROWS})
        assert begun.wait(10)
        service.__exit__(None, None, None)
        assert done.is_set()
        assert pending.result()[0] == 200
        service.__enter__()


def test_callers_who_hang_up_or_fall_silent_do_no_harm(capfd, monkeypatch):
    monkeypatch.setattr(server._Handler, "timeout", 0.2)
    with Service(price, [AREA, AGE]) as service:
        address = service.url[7:].split(":")
        silent = socket.create_connection(address)
        silent.sendall(b"POST /predict HTTP/1.0\r\nContent-Length: 50\r\n\r\n{")
        gone = socket.create_connection(address)
        # Closing with a pending reset instead of a farewell.
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        gone.sendall(b"POST /predict HTTP/1.0\r\nContent-Length: 50\r\n\r\n{")
        time.sleep(0.05)
        gone.close()
        assert send(service, body={"rows": ROWS})[0] == 200
        time.sleep(0.4)
        assert counted(service)["ddl_broken_connections_total",] == 2
        silent.close()
    assert capfd.readouterr() == ("", "")


def test_an_error_of_the_server_itself_is_printed(capfd, monkeypatch):
    monkeypatch.setattr(server, "_json", lambda page: 1 / 0)
    with Service(price, [AREA, AGE]) as service:
        raw(service, b"GET /health HTTP/1.0\r\n\r\n")
    assert "ZeroDivisionError" in capfd.readouterr().err
