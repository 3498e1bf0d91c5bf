"""Calls of a model: one request each, or several of those that wait, where its handlers can.

Nobody waits for a batch to fill: a worker that becomes free takes what is there. A lone client's
request is therefore a call of its own, as are all requests to handlers that know no batches.

Where the handlers can tell what will take long to prepare, such as a picture of many pixels, that
is done beside the workers (:mod:`sm_entrypoints.serving.heavy`): the others pass it meanwhile.

If a handler raises an exception with an integer ``status_code`` from 400 to 599 (as in SageMaker's
toolkit), the answer has that status, and otherwise 500; the traceback goes to the log.
"""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from starlette.responses import JSONResponse, Response

from sm_entrypoints.contract.cores import usable_cores
from sm_entrypoints.contract.sentences import ended
from sm_entrypoints.serving.accept import accepted
from sm_entrypoints.serving.context import CONTENT_TYPE, Context
from sm_entrypoints.serving.handlers import Program
from sm_entrypoints.serving.heavy import HeavyLane
from sm_entrypoints.serving.intake import RETRY_AFTER, TOO_MANY
from sm_entrypoints.serving.memory import give_back
from sm_entrypoints.serving.payloads import TEXT_TYPES, PayloadError, to_json


@dataclass(slots=True)
class Call:
    """A request, and what answers it; runs in a worker thread."""

    program: Program
    model: Any
    body: bytes
    headers: Mapping[str, str]
    default_accept: str
    context: Context = field(init=False)
    is_prepared: bool = field(init=False, default=False)
    _part: Any = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.context = self.program.context.of_request(self.headers)

    def answer(self) -> Response:
        """Call the handlers; never raises."""
        try:
            response = self.program.transform(
                self.model, self._data(), self._content_type, self._accept, context=self.context
            )
            return self._good(response)
        # The edge of the user's code: its errors are answers, the server lives on.
        except (Exception, SystemExit) as error:  # noqa: BLE001
            return self._bad(error)

    def is_heavy(self) -> bool:
        """Tell whether preparing it will take long; never raises."""
        try:
            return self.program.is_heavy(self.body)
        except (Exception, SystemExit):  # noqa: BLE001
            return False  # whatever is wrong with it is said by who prepares it

    def prepared(self) -> Any:
        """Return what a batch is made of, or else the answer to a request that is at fault."""
        if not self.is_prepared:
            try:
                data, kind = self._data(), self._content_type
                self._part = self.program.prepare(self.model, data, kind, self.context)
            except (Exception, SystemExit) as error:  # noqa: BLE001
                self._part = self._bad(error)
            self.is_prepared = True
            self.body = b""  # it is not needed any more
        return self._part

    def alone(self) -> Response:
        """Return the answer to what is prepared, as a batch of its own; never raises."""
        part = self.prepared()
        if isinstance(part, Response):
            return part
        try:
            return self.written(self.program.predict_batch([part], self.model)[0])
        except (Exception, SystemExit) as error:  # noqa: BLE001
            return self._bad(error)

    def written(self, prediction: Any) -> Response:
        """Return the answer with one prediction of a batch; never raises."""
        try:
            return self._good(self.program.write(prediction, self._accept, self.context))
        except (Exception, SystemExit) as error:  # noqa: BLE001
            return self._bad(error)

    @property
    def _content_type(self) -> str | None:
        return self.headers.get("content-type")

    @property
    def _accept(self) -> str:
        accept = self.headers.get("accept", "").strip()
        return self.default_accept if accept in ("", "*/*") else accept

    def _data(self) -> bytes | str:
        return _decode(self.body, self._content_type)

    def _good(self, response: tuple[Any, str | None]) -> Response:
        content, chosen = response
        # A handler that does not say what it wrote wrote what was most wanted.
        kind = chosen or next(iter(accepted(self._accept)), self.default_accept)
        return _answered(_encode(content), kind, self.context)

    def _bad(self, error: BaseException) -> Response:
        return _failure(error, self._content_type)


_IDLE_SECONDS = 1.0
# Giving memory back takes some milliseconds, and so does getting it again.
_BUSY_SECONDS = 5.0
# A call, and the answer to it that is to come.
_Asked = tuple[Call, Future[Response]]


class Calls:
    """Threads that answer calls, the oldest first; ``most`` of them at a time where that is one.

    Args:
        heavy: how many that take long to prepare may be on their way; others get 429.
        rest: called after a batch, which takes memory: when nobody has asked for a second, or the
            last time was five seconds ago.
    """

    def __init__(
        self,
        workers: int,
        *,
        most: int,
        heavy: int = 16,
        rest: Callable[[], None] = give_back,
    ) -> None:
        self._most, self._rest, self._rested, self._rest_at = most, rest, True, 0.0
        # Decoders let go of Python's lock: pictures of a batch are decoded side by side.
        self._helpers = ThreadPoolExecutor(usable_cores(), thread_name_prefix="picture")
        self._heavy = HeavyLane(heavy)
        self._waiting: deque[_Asked] = deque()
        self._come = threading.Condition()
        for number in range(workers):
            threading.Thread(target=self._work, name=f"model_{number}", daemon=True).start()

    def submit(self, call: Call) -> Future[Response]:
        """Return the answer to come; it can be cancelled until somebody works on it."""
        future: Future[Response] = Future()
        with self._come:
            self._waiting.append((call, future))
            self._come.notify()
        return future

    def _work(self) -> None:
        while True:
            taken = self._taken()
            answers = answers_to([call for call, _ in taken], self._helpers)
            self._rested = self._rested and len(taken) == 1
            for (_, future), answer in zip(taken, answers, strict=True):
                future.set_result(answer)
            # Waiting for the next one keeps no body of the last.
            del taken, answers, future, answer, _

    def _taken(self) -> list[_Asked]:
        """Wait for calls, and return those to answer together."""
        taken: list[_Asked] = []
        while not taken:  # some are cancelled, or take long
            with self._come:
                seconds = None if self._rested else _IDLE_SECONDS
                here, come = self._come.wait_for(lambda: bool(self._waiting), seconds), self._next()
            if not here or (not self._rested and time.monotonic() >= self._rest_at):
                self._rested, self._rest_at = True, time.monotonic() + _BUSY_SECONDS
                self._rest()
            taken = [asked for asked in come if self._begins(*asked)]
            del come
        return taken

    def _next(self) -> list[_Asked]:
        found: list[_Asked] = []
        while self._waiting and len(found) < self._most:
            call, future = self._waiting.popleft()
            if not future.cancelled():
                found.append((call, future))
                if not call.program.batches:
                    break
        return found

    def _begins(self, call: Call, future: Future[Response]) -> bool:
        """Tell whether a worker may begin with a call; one that takes long is prepared first."""
        if call.is_prepared:
            return True
        if not call.is_heavy():
            return future.set_running_or_notify_cancel()
        taken = self._heavy.take(partial(self._prepare, call, future))
        if not taken and future.set_running_or_notify_cancel():
            future.set_result(_too_many())
        return False

    def _prepare(self, call: Call, future: Future[Response]) -> None:
        """Prepare a call that takes long, and have it answered next."""
        if not future.set_running_or_notify_cancel():
            return
        part = call.prepared()
        if isinstance(part, Response):
            future.set_result(part)
            return
        with self._come:
            self._waiting.appendleft((call, future))
            self._come.notify()


def _too_many() -> Response:
    error = {"error": "Too many large requests at once; try again."}
    return JSONResponse(error, status_code=TOO_MANY, headers=RETRY_AFTER)


def answers_to(calls: Sequence[Call], helpers: Executor) -> list[Response]:
    """Return the answers to calls of one program, in their order; several become one batch.

    ``helpers`` prepare what it is made of.
    """
    if len(calls) == 1 and not calls[0].is_prepared:
        return [calls[0].answer()]
    parts = list(helpers.map(Call.prepared, calls))
    good = [index for index, part in enumerate(parts) if not isinstance(part, Response)]
    predictions = _predicted(calls[0], {index: parts[index] for index in good})
    if predictions is None:
        # One of them is at fault, or all: alone, each gets its own answer.
        return [call.alone() for call in calls]
    return [
        call.written(predictions[index]) if index in predictions else parts[index]
        for index, call in enumerate(calls)
    ]


def _predicted(first: Call, parts: Mapping[int, Any]) -> dict[int, Any] | None:
    try:
        found = first.program.predict_batch(list(parts.values()), first.model)
        return dict(zip(parts, found, strict=True))
    except (Exception, SystemExit):  # noqa: BLE001
        return None


def _answered(body: bytes, kind: str, context: Context) -> Response:
    """Return a good answer, with the status and the headers that the handlers set."""
    status, _ = context.get_response_status(0)
    named = {
        name: value
        for name, value in context.get_response_headers(0).items()
        if name.lower() != CONTENT_TYPE
    }
    return Response(body, status_code=status, headers={**named, CONTENT_TYPE: kind})


def _decode(body: bytes, content_type: str | None) -> bytes | str:
    """Return JSON and CSV as text, everything else untouched, as SageMaker's toolkit does."""
    if content_type not in TEXT_TYPES:
        return body
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise PayloadError(400, f"The body is not UTF-8 text: {ended(error)}") from None


def _encode(response: Any) -> bytes:
    """Return what a handler returned as bytes, as the model server of SageMaker's images does."""
    if isinstance(response, bytes | bytearray | memoryview):
        return bytes(response)
    if isinstance(response, str):
        return response.encode()
    try:
        return to_json(response, indent=2).encode()
    except TypeError as error:
        kind = type(response).__name__
        raise TypeError(f"a handler returned {kind}; return str or bytes: {error}") from error


def _failure(error: BaseException, content_type: str | None) -> Response:
    status = getattr(error, "status_code", None)
    if type(error).__name__ == "UnsupportedFormatError":
        # The toolkit's own, which does not say which of the two it is about.
        status = 415 if f"type {content_type} is" in str(error) else 406
    if isinstance(status, int) and 400 <= status < 600:
        # The text of the toolkit's errors is in `message`; str() gives all of their arguments.
        message = str(getattr(error, "message", None) or error)
        return JSONResponse({"error": message}, status_code=status)
    traceback.print_exception(error, file=sys.stderr)
    message = f"{type(error).__name__}: {error} (the traceback is in the endpoint's log)"
    return JSONResponse({"error": message}, status_code=500)
