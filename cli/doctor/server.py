"""Serve an archive with the real model server, and send it good and bad requests."""

from __future__ import annotations

import json
import subprocess
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import httpx

from cli.doctor.checks import Check, failed, passed, warning
from cli.doctor.handlers import Picture
from cli.doctor.program import Bench, ending
from platforms.local.hosting.model_calls import local_client
from sm_entrypoints.contract import MODEL_CODE_FOLDER
from sm_entrypoints.contract.sentences import clause

_LOG = "server.log"
_PORT = "port"
_FAILURE = "failure"
_POLL_SECONDS = 0.1
# An answer may take as long.
_SLOW_SECONDS = 60.0
_SENTENCE_CHARACTERS = 100
_RAISE = "raise an exception that has status_code = {status} in input_fn (or transform_fn)"


class BadRequest(NamedTuple):
    """A request that a careful model refuses."""

    name: str
    what: str
    body: bytes
    content_type: str
    advised_status: int


_BAD_REQUESTS = (
    BadRequest("wrong type", "text/plain", b"a dog, please", "text/plain", 415),
    BadRequest("empty body", "an empty image/jpeg", b"", "image/jpeg", 400),
    BadRequest("not an image", "garbage as image/jpeg", bytes(range(256)) * 8, "image/jpeg", 400),
)


def check_server(bench: Bench, picture: Picture) -> Iterator[Check]:
    """Start ``serve.py`` on a free port, yield a check for each request, stop it."""
    variables = {
        "SM_MODEL_DIR": str(bench.model),
        "PYTHONPATH": str(bench.model / MODEL_CODE_FOLDER),
        "SAGEMAKER_BIND_TO_HOST": "127.0.0.1",
        "SAGEMAKER_BIND_TO_PORT": "0",
        "SAGEMAKER_PORT_FILE": str(bench.folder / _PORT),
        "SAGEMAKER_FAILURE_FILE": str(bench.folder / _FAILURE),
    }
    with (
        bench.running("serve.py", log=_LOG, variables=variables) as server,
        local_client(bench.patience.request) as client,
    ):
        start = time.monotonic()
        url = _wait(bench, server, client)
        if url is None:
            yield _not_started(bench, server)
            return
        yield started(time.monotonic() - start)
        requests = Requests(bench=bench, client=client, url=url)
        yield requests.good(picture)
        for bad in _BAD_REQUESTS:
            yield requests.bad(bad)
        yield requests.untyped(picture)


def _wait(bench: Bench, server: subprocess.Popen[bytes], client: httpx.Client) -> str | None:
    """Return the server's URL once ``/ping`` answers 200; None when it ended or took too long."""
    deadline = time.monotonic() + bench.patience.start
    while server.poll() is None and time.monotonic() < deadline:
        url = _url(bench.folder / _PORT)
        if url is not None and _status(client, url) == httpx.codes.OK:
            return url
        time.sleep(_POLL_SECONDS)
    return None


def _url(port_file: Path) -> str | None:
    try:
        return f"http://127.0.0.1:{int(port_file.read_text('ascii'))}"
    except FileNotFoundError:
        return None


def _status(client: httpx.Client, url: str) -> int | None:
    try:
        return client.get(f"{url}/ping").status_code
    except httpx.TransportError:
        return None


def started(seconds: float) -> Check:
    """Return the check of a server that began to answer after ``seconds``."""
    answered = f"200 after {seconds:.1f} seconds"
    if seconds < _SLOW_SECONDS:
        return passed("/ping", answered)
    return warning(
        "/ping",
        f"{answered}: each added instance waits that long, and so does the first call of a "
        "serverless endpoint (AWS ends it after 180)",
        "import less at the top of the program, and load less in model_fn",
    )


def _not_started(bench: Bench, server: subprocess.Popen[bytes]) -> Check:
    status = server.poll()
    how = f"no answer within {bench.patience.start:g} seconds"
    if status is not None:
        how = f"the server ended, {ending(status)}"
    failure = bench.folder / _FAILURE
    words = failure.read_text("utf-8").splitlines() if failure.exists() else bench.tail(_LOG)
    return failed(
        "/ping", how, "an endpoint would never come into service: see the last line", words
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """The requests to a running server."""

    bench: Bench
    client: httpx.Client
    url: str

    def good(self, picture: Picture) -> Check:
        """Send the good image; want 200 and labels."""
        name, kind = "good image", picture.content_type
        answer = self._post(picture.path.read_bytes(), kind)
        if isinstance(answer, str):
            return self._failure(name, answer, "make the handlers faster, or the model smaller")
        if answer.status_code != httpx.codes.OK:
            problem = f"{kind} → {_shown(answer)}"
            return self._failure(name, problem, "a good image must get 200")
        return _check_labels(name, kind, answer)

    def bad(self, bad: BadRequest) -> Check:
        """Send a bad request; want a 4xx with a sentence."""
        answer = self._post(bad.body, bad.content_type)
        advice = _RAISE.format(status=bad.advised_status)
        if isinstance(answer, str):
            return self._failure(bad.name, answer, advice)
        exchange = f"{bad.what} → {_shown(answer)}"
        if not answer.is_client_error:
            return self._failure(
                bad.name, exchange, f"this is the client's mistake (4xx): {advice}"
            )
        if not answer.content.strip():
            return failed(
                bad.name, f"{exchange} without a word", "say in the answer what was wrong"
            )
        return passed(bad.name, exchange)

    def untyped(self, picture: Picture) -> Check:
        """Send the good image without a Content-Type; want an answer or a 4xx."""
        name = "no Content-Type"
        answer = self._post(picture.path.read_bytes(), None)
        advice = "content_type may be None: look at the bytes, or " + _RAISE.format(status=415)
        if isinstance(answer, str):
            return self._failure(name, answer, advice)
        exchange = f"→ {_shown(answer)}"
        if answer.is_success or answer.is_client_error:
            return passed(name, exchange)
        return self._failure(name, exchange, advice)

    def _post(self, body: bytes, content_type: str | None) -> httpx.Response | str:
        """Return the answer, or a sentence on why there is none."""
        headers = {"Accept": "application/json"}
        if content_type is not None:
            headers["Content-Type"] = content_type
        try:
            return self.client.post(f"{self.url}/invocations", content=body, headers=headers)
        except httpx.TimeoutException:
            return f"no answer within {self.bench.patience.request:g} seconds"
        except httpx.TransportError as error:
            return f"the server broke the connection: {error}"

    def _failure(self, name: str, found: str, advice: str) -> Check:
        return failed(name, found, advice, self.bench.tail(_LOG)[-6:])


def _check_labels(name: str, kind: str, answer: httpx.Response) -> Check:
    advice = 'return {"predictions": [{"label": …, "probability": …}, …]} as JSON'
    try:
        document = json.loads(answer.content, parse_constant=_no_number)
    except ValueError as error:
        problem = f"{kind} → {_shown(answer)}, which is not JSON ({clause(error)})"
        return failed(name, problem, advice)
    try:
        first = document["predictions"][0]
        label, probability = str(first["label"]), float(first["probability"])
    except (KeyError, IndexError, TypeError, ValueError):
        problem = f"{kind} → 200, JSON of a different shape than Whippet's: {_text(answer)}"
        return warning(name, problem, f"for `whippet predict`: {advice}")
    return passed(name, f"{kind} → 200, {label!r} with probability {probability:.3f}")


def _no_number(word: str) -> float:
    """Refuse NaN and Infinity, which Python writes into JSON and other readers do not take."""
    raise ValueError(f"{word} is not a JSON number")


def _shown(answer: httpx.Response) -> str:
    return f"{answer.status_code}: {_text(answer)}"


def _text(answer: httpx.Response) -> str:
    """Return the sentence of an error, or the start of any other answer."""
    try:
        text = str(json.loads(answer.content)["error"])
    except (ValueError, TypeError, KeyError, IndexError):
        text = answer.text
    return textwrap.shorten(text, _SENTENCE_CHARACTERS, placeholder=" …")
