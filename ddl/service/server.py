"""The web service: what it answers, and the thread that it runs in."""

from __future__ import annotations

import dataclasses
import json
import sys
import threading
import time
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import torch

from ddl import checks
from ddl.monitoring import ReferenceBins
from ddl.monitoring.inputs import Rows
from ddl.service.features import Feature, problems
from ddl.service.metrics import CONTENT_TYPE, Metrics

METHODS = {"/predict": "POST", "/health": "GET", "/metrics": "GET"}
JSON = "application/json"
DISCARDED = 10
"""A body so many times too large is still read, and thrown away: its sender then gets to see the answer."""


class Refusal(Exception):
    """A request that gets an error for an answer."""

    def __init__(self, status: int, message: str, **details: object) -> None:
        super().__init__(message)
        self.status, self.page = status, {"error": message, **details}


class Service:
    """Serves a model on this machine, at a free port, as long as a ``with`` block lasts.

    ``POST /predict`` takes ``{"rows": [[…], …]}`` and returns ``{"predictions": […]}``: for each row its
    class and the confidence in it, the class ``null`` where that is too low; without classes, a number. One
    bad row refuses them all, with a message for each. ``GET /health`` says what is served, and
    ``GET /metrics`` what was counted, in the text format of Prometheus.

    Parameters
    ----------
    model
        Takes float32 rows, shape (n, features), and returns logits, shape (n, classes), or (n, 1) for two
        classes; without ``classes``, a number for each row.
    features
        What a row consists of.
    classes
        Names of the classes.
    reference
        Rows that the model was trained on, shape (n, features), which accepted rows are compared with.
    abstain_below
        Least confidence for an answer.
    max_rows
        Rows in one request.
    max_bytes
        Size of one request.

    Raises
    ------
    TypeError
        If a setting is not of its kind.
    ValueError
        If a setting makes no sense, or the model is in training mode.

    Examples
    --------
    >>> from urllib.request import urlopen
    >>> area = Feature("area", 20, 400, "m²")
    >>> with Service(lambda rows: 3 * rows, [area]) as service:
    ...     json.load(urlopen(f"{service.url}/predict", b'{"rows": [[100], [50]]}'))
    {'predictions': [{'value': 300.0}, {'value': 150.0}]}
    """

    def __init__(
        self,
        model: Callable[[torch.Tensor], torch.Tensor],
        features: Sequence[Feature],
        *,
        classes: Sequence[str] = (),
        reference: Rows | None = None,
        abstain_below: float = 0.0,
        max_rows: int = 100,
        max_bytes: int = 100_000,
    ) -> None:
        if getattr(model, "training", False) and not isinstance(model, torch.fx.GraphModule):
            raise ValueError("the model is in training mode; call its eval() first, for dropout and norms")
        if not features:
            raise ValueError("features is empty; name what a row consists of")
        if len(classes) == 1 or (abstain_below and not classes):
            raise ValueError(f"classes is {classes!r}; name two or more, which abstaining needs as well")
        if not 0 <= abstain_below < 1:
            raise ValueError(f"abstain_below is {abstain_below}; give a confidence from 0 to below 1")
        self.model, self.features, self.classes = model, tuple(features), tuple(classes)
        self.abstain_below = abstain_below
        self.max_rows = checks.whole_number("max_rows", max_rows, at_least=1)
        self.max_bytes = checks.whole_number("max_bytes", max_bytes, at_least=1)
        self.metrics = Metrics()
        self.error: Exception | None = None
        """What the model raised last, for those who run the service; callers are not told."""
        self._bins = None if reference is None else ReferenceBins(reference)
        if self._bins is not None and len(self._bins.edges) != len(features):
            raise ValueError(
                f"reference has {len(self._bins.edges)} features; the service has {len(features)}"
            )
        self._counts = None if self._bins is None else np.zeros_like(self._bins.reference_counts)
        self._lock = threading.Lock()
        self._server: _Server | None = None

    def __enter__(self) -> Service:
        if self._server is not None:
            raise RuntimeError(f"the service is running already, at {self.url}")
        self._server = _Server(self)
        # The loop looks for the request to end as often as this, in seconds.
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        server, self._server = self._server, None
        server.shutdown()
        server.server_close()  # frees the port, and waits for answers that are under way
        self._thread.join()

    @property
    def url(self) -> str:
        """Where the service is reached, without a slash at the end."""
        if self._server is None:
            raise RuntimeError("the service is not running; use it in a with block")
        return f"http://127.0.0.1:{self._server.server_port}"

    def __repr__(self) -> str:
        names = ", ".join(feature.name for feature in self.features)
        return f"Service of ({names}), {'stopped' if self._server is None else f'at [{self.url}]'}"

    def answer(self, method: str, path: str, body: bytes) -> tuple[str, bytes]:
        """Return content type and content of the answer to a request.

        Parameters
        ----------
        method
            ``"GET"``, ``"POST"``, …
        path
            Such as ``"/predict"``.
        body
            What came with it.

        Returns
        -------
        tuple of str and bytes
            Content type and content.

        Raises
        ------
        Refusal
            If the request gets an error for an answer.
        """
        if path not in METHODS:
            raise Refusal(404, f"there is no {path}; there is {', '.join(METHODS)}")
        if method != METHODS[path]:
            raise Refusal(405, f"{path} takes {METHODS[path]}, not {method}")
        if path == "/metrics":
            return CONTENT_TYPE, self._metrics_page()
        return JSON, _json(self._health() if path == "/health" else self._predict(body))

    def _predict(self, body: bytes) -> dict[str, object]:
        rows = self._rows(body)
        wrong = problems(rows, self.features)
        for problem in wrong:
            self.metrics.rejected.labels(problem["reason"]).inc()
        if wrong:
            raise Refusal(
                422, f"{len(wrong)} of {len(rows)} rows cannot be used; none is predicted", rows=wrong
            )
        x = torch.tensor(rows, dtype=torch.float32)
        with torch.inference_mode():
            output = self.model(x)
            if not torch.isfinite(output).all():
                raise ValueError("the model returned numbers that are not finite")
            predictions = self._classified(output) if self.classes else self._numbers(output, len(x))
        if self._bins is not None:
            new = self._bins.counts(x)
            with self._lock:
                self._counts = self._counts + new  # a new array: a reader keeps the one that it has
        return {"predictions": predictions}

    def _rows(self, body: bytes) -> list[object]:
        try:
            request = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise Refusal(400, f"the body is not JSON: {error}") from error
        if not isinstance(request, dict) or set(request) != {"rows"} or not isinstance(request["rows"], list):
            raise Refusal(422, 'the body must be {"rows": [[...], ...]}, with one list for each row')
        rows = request["rows"]
        if not rows:
            raise Refusal(422, "rows is empty; send at least one")
        if len(rows) > self.max_rows:
            self.metrics.rejected.labels("too_many").inc(len(rows))
            raise Refusal(413, f"these are {len(rows)} rows; send at most {self.max_rows} at once")
        return rows

    def _classified(self, logits: torch.Tensor) -> list[dict[str, object]]:
        if logits.shape[1] == 1:
            logits = torch.cat([torch.zeros_like(logits), logits], dim=1)
        confidence, label = logits.softmax(dim=1).max(dim=1)
        predictions = []
        for sure, place in zip(confidence.tolist(), label.tolist(), strict=True):
            answer = self.classes[place] if sure >= self.abstain_below else None
            if answer is None:
                self.metrics.abstentions.inc()
            else:
                self.metrics.predictions.labels(answer).inc()
            predictions.append({"class": answer, "confidence": round(sure, 6)})
        return predictions

    def _numbers(self, output: torch.Tensor, n: int) -> list[dict[str, object]]:
        self.metrics.predictions.labels("number").inc(n)
        return [{"value": value} for value in output.reshape(n).tolist()]

    def _health(self) -> dict[str, object]:
        return {
            "status": "ok",
            "features": [dataclasses.asdict(feature) for feature in self.features],
            "classes": self.classes,
            "abstain_below": self.abstain_below,
            "max_rows": self.max_rows,
        }

    def _metrics_page(self) -> bytes:
        counts = self._counts
        if counts is not None and counts.any():
            for feature, index in zip(self.features, self._bins.index(counts), strict=True):
                self.metrics.drift.labels(feature.name).set(index)
        return self.metrics.page()


class _Server(ThreadingHTTPServer):
    """One thread for each request; closing waits for them."""

    daemon_threads = False

    def __init__(self, service: Service) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.service = service

    def handle_error(self, *where: Any) -> None:  # noqa: ANN401 - as the base class has it
        """Count callers who hung up, instead of printing an error that is none of ours."""
        if isinstance(sys.exception(), ConnectionError):
            self.service.metrics.broken.inc()
        else:
            super().handle_error(*where)


class _Handler(BaseHTTPRequestHandler):
    """Reads a request and writes the answer of the service."""

    server: _Server
    timeout = 5  # seconds for which a caller may keep silent

    def do_GET(self) -> None:
        start = time.perf_counter()
        service, path = self.server.service, self.path.partition("?")[0]
        status, content_type = 200, JSON
        try:
            content_type, page = service.answer(self.command, path, self._body(service.max_bytes))
        except Refusal as refusal:
            status, page = refusal.status, _json(refusal.page)
        except TimeoutError:
            service.metrics.broken.inc()
            return
        except ConnectionError:
            raise
        except Exception as error:  # whatever the model does, the caller gets an answer
            service.error = error
            status, page = 500, _json({"error": "the model failed"})
        service.metrics.requests.labels(path if path in METHODS else "other", str(status)).inc()
        service.metrics.seconds.observe(time.perf_counter() - start)
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(page)))
        if status == 405:
            self.send_header("Allow", METHODS[path])
        self.end_headers()
        self.wfile.write(page)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def log_message(self, *_: Any) -> None:  # noqa: ANN401 - as the base class has it
        """Write no log: notebooks would show it."""

    def _body(self, at_most: int) -> bytes:
        given = self.headers["Content-Length"]
        if given is None:
            if self.command == "POST":
                raise Refusal(411, "the header Content-Length is missing")
            return b""
        if not (given.isascii() and given.isdigit()):
            raise Refusal(400, f"Content-Length is {given}; a number of bytes is wanted")
        length = int(given)
        if length > at_most:
            left = length if length <= DISCARDED * at_most else 0
            while left > 0 and (piece := self.rfile.read(min(left, 65_536))):
                left -= len(piece)
            raise Refusal(413, f"the body has {length} bytes; send at most {at_most} at once")
        return self.rfile.read(length)


def _json(page: object) -> bytes:
    return json.dumps(page, ensure_ascii=False, allow_nan=False).encode()
