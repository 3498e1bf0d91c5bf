"""What takes long waits for its own kind, and nothing else waits for it."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from typing import Any

import pytest
from starlette.responses import Response

from sm_entrypoints.contract.cores import usable_cores
from sm_entrypoints.serving.calls import Call, Calls
from sm_entrypoints.serving.context import Context
from sm_entrypoints.serving.handlers import Program
from sm_entrypoints.serving.heavy import HeavyLane
from tests.worlds.waiting import wait_for

SECONDS = 20


class Slow:
    """Handlers to which what begins with "large" is heavy, and takes until it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.begun: list[str] = []
        self.batches: list[list[str]] = []

    def program(self) -> Program:
        """Return the program of these handlers."""

        def predict_fn(data: str, model: Any) -> str:
            return self.predict([self.prepare(data, model)], model)[0]

        predict_fn.whippet_batch = self  # type: ignore[attr-defined]
        return Program(
            functions={
                "input_fn": self._input,
                "predict_fn": predict_fn,
                "output_fn": lambda prediction, accept: (prediction, "text/plain"),
            },
            context=Context(),
        )

    def _input(self, data: bytes, content_type: str | None) -> str:
        text = bytes(data).decode()
        self.begun.append(text)
        if text.startswith("large"):
            assert self.go.wait(SECONDS)
        if "broken" in text:
            raise ValueError(text)
        return text

    def is_heavy(self, body: bytes) -> bool:
        return body.startswith(b"large")

    def prepare(self, data: str, model: Any) -> str:
        return f"{data}!"

    def predict(self, values: Sequence[str], model: Any) -> list[str]:
        self.batches.append(list(values))
        if any("fault" in value for value in values):
            raise ValueError("a fault")
        return [value.upper() for value in values]


def _asked(calls: Calls, program: Program, body: str) -> Any:
    return calls.submit(Call(program, None, body.encode(), {}, "application/json"))


def _body(answer: Response) -> bytes:
    return bytes(answer.body)


def test_small_ones_pass_large_ones() -> None:
    handlers = Slow()
    program, calls = handlers.program(), Calls(1, most=4, heavy=16)
    large = [_asked(calls, program, f"large {number}") for number in range(6)]
    small = [_asked(calls, program, f"small {number}") for number in range(20)]
    assert [_body(each.result(SECONDS)) for each in small] == [
        f"SMALL {number}!".encode() for number in range(20)
    ]
    assert not any(each.done() for each in large)
    begun = [text for text in handlers.begun if text.startswith("large")]
    assert len(begun) <= max(1, usable_cores() - 1)
    handlers.go.set()
    assert [_body(each.result(SECONDS)) for each in large] == [
        f"LARGE {number}!".encode() for number in range(6)
    ]
    # Each was prepared once, in its turn.
    assert sorted(handlers.begun) == sorted(set(handlers.begun))


def test_too_many_large_ones_are_refused_and_small_ones_are_not() -> None:
    handlers = Slow()
    program, calls = handlers.program(), Calls(1, most=4, heavy=2)
    large = [_asked(calls, program, f"large {number}") for number in range(5)]
    refused = [each.result(SECONDS) for each in large[2:]]
    assert [each.status_code for each in refused] == [429] * 3
    assert refused[0].headers["retry-after"] == "1"
    assert "large requests" in json.loads(_body(refused[0]))["error"]
    assert _body(_asked(calls, program, "small").result(SECONDS)) == b"SMALL!"
    handlers.go.set()
    assert [each.result(SECONDS).status_code for each in large[:2]] == [200, 200]
    # There is room again, soon after the answers.
    again = "large again"
    wait_for(lambda: _asked(calls, program, again).result(SECONDS).status_code == 200, "room")


def test_a_large_one_whose_client_left_is_not_begun() -> None:
    handlers = Slow()
    program, calls = handlers.program(), Calls(1, most=4, heavy=usable_cores() + 3)
    large = [_asked(calls, program, f"large {number}") for number in range(usable_cores() + 3)]
    assert _asked(calls, program, "small").result(SECONDS).status_code == 200
    assert large[-1].cancel()
    handlers.go.set()
    assert all(each.result(SECONDS).status_code == 200 for each in large[:-1])
    assert f"large {usable_cores() + 2}" not in handlers.begun


@pytest.mark.parametrize("text", ["large broken", "large fault"])
def test_a_fault_of_a_large_one_is_its_own(text: str) -> None:
    handlers = Slow()
    handlers.go.set()
    program, calls = handlers.program(), Calls(1, most=4, heavy=16)
    answer = _asked(calls, program, text).result(SECONDS)
    assert answer.status_code == 500
    assert "ValueError" in json.loads(_body(answer))["error"]
    assert _asked(calls, program, "large good").result(SECONDS).status_code == 200


def test_a_lane_is_free_again_after_a_task_that_fails() -> None:
    lane, ran = HeavyLane(1), []

    def fail() -> None:
        ran.append(1)
        raise ValueError

    for count in range(1, 4):
        wait_for(lambda: lane.take(fail), "a free place")
        wait_for(lambda count=count: len(ran) == count, "the task")
