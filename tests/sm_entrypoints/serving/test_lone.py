"""A client that asks alone is answered in the server's own thread, others are not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any

import httpx
import pytest

from sm_entrypoints.serving.context import Context
from sm_entrypoints.serving.handlers import Program
from sm_entrypoints.serving.intake import Limits
from sm_entrypoints.serving.invocations import ModelService
from sm_entrypoints.serving.lone import CALLS, SECONDS, LoneClient
from sm_entrypoints.serving.payloads import PayloadError

FIRST, SECOND = ("127.0.0.1", 50_001), ("127.0.0.1", 50_002)


class Clock:
    """Shows the time that handlers say has passed, whatever else the machine does."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Batch:
    """Says of bodies that begin with ``heavy`` that they take long."""

    @staticmethod
    def is_heavy(body: bytes) -> bool:
        return body.startswith(b"heavy")

    @staticmethod
    def prepare(data: bytes, model: Any) -> bytes:
        return data

    @staticmethod
    def predict(values: Sequence[bytes], model: Any) -> list[str]:
        return [_where(each, model) for each in values]


def _where(data: bytes, clock: Clock) -> str:
    """Return the name of the thread, after a while if so told; refuse what is ``bad``."""
    if data == b"slow":
        clock.now += 1.5 * SECONDS
    if data == b"bad":
        raise PayloadError(415, "That is no picture.")
    return threading.current_thread().name


def _program(*, batches: bool) -> Program:
    def predict_fn(data: bytes, model: Any) -> str:
        return _where(data, model)

    if batches:
        predict_fn.whippet_batch = Batch  # type: ignore[attr-defined]
    functions: dict[str, Callable[..., Any]] = {
        "input_fn": lambda data, kind: data,
        "predict_fn": predict_fn,
        "output_fn": lambda prediction, accept: (prediction, "text/plain"),
    }
    return Program(functions=functions, context=Context())


def _answers(
    asked: Sequence[tuple[tuple[str, int], bytes]], *, batches: bool = True, **limits: Any
) -> list[bool]:
    """Ask one after the other; return which were answered in the thread of the server."""
    clock = Clock()
    service = ModelService(Limits(**limits), clock=clock)
    service.begin(_program(batches=batches), clock)

    async def ask() -> list[str]:
        found = []
        for client, body in asked:
            transport = httpx.ASGITransport(app=service, client=client)
            async with httpx.AsyncClient(transport=transport, base_url="http://x") as session:
                answer = await session.post("/invocations", content=body)
                found.append(answer.text if answer.is_success else "refused")
        return found

    here = threading.current_thread().name
    return [each == here for each in asyncio.run(ask())]


ENOUGH = [(FIRST, b"x")] * CALLS
AFTER = [*[False] * CALLS, True]


def test_a_lone_client_needs_no_thread_once_its_calls_have_proved_short() -> None:
    assert _answers([*ENOUGH, (FIRST, b"x")]) == AFTER


@pytest.mark.parametrize(
    ("then", "here"),
    [
        ([(SECOND, b"x"), (FIRST, b"x")], [False, False]),
        ([(FIRST, b"slow"), (FIRST, b"x")], [True, False]),
        ([(FIRST, b"heavy"), (FIRST, b"x")], [False, True]),
    ],
    ids=["another client asks", "a call takes longer", "a picture takes long to prepare"],
)
def test_what_sends_calls_back_to_a_thread(
    then: list[tuple[tuple[str, int], bytes]], here: list[bool]
) -> None:
    assert _answers([*ENOUGH, (FIRST, b"x"), *then]) == [*AFTER, *here]


@pytest.mark.parametrize(
    "limits", [{"batches": False}, {"workers": 2}], ids=["a user's handlers", "several workers"]
)
def test_whose_calls_stay_in_threads(limits: dict[str, Any]) -> None:
    assert not any(_answers([*ENOUGH, (FIRST, b"x")], **limits))


def test_quick_refusals_prove_nothing() -> None:
    refused = [(FIRST, b"bad")] * CALLS
    assert not any(_answers([*refused, (FIRST, b"x")]))
    assert _answers([*ENOUGH, *refused, (FIRST, b"x")])[-1], "nor do they disprove anything"


def test_late_answers_to_another_client_do_not_count() -> None:
    lone = LoneClient()
    for client in (FIRST, SECOND):
        lone.asks(client)
    for _ in range(CALLS):
        lone.answered(FIRST, 0.001, good=True)
    assert not lone.is_quick
    for _ in range(CALLS):
        lone.answered(SECOND, 0.001, good=True)
    assert lone.is_quick
    lone.asks(None)
    for _ in range(CALLS):
        lone.answered(None, 0.001, good=True)
    assert not lone.is_quick, "who does not say where it comes from may be several"
