"""Calls of a model: alone or in batches, each request gets its own answer."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from sm_entrypoints import inference
from sm_entrypoints.models.model import ModelCard, build_model, save_model
from sm_entrypoints.serving.calls import Call, Calls, answers_to
from sm_entrypoints.serving.context import Context
from sm_entrypoints.serving.handlers import Program, load_program

SECONDS = 20


class Counting:
    """Handlers that shout, batch by batch; the first batch waits until it is let go."""

    def __init__(self, *, waits: bool = True) -> None:
        self.sizes: list[int] = []
        self.begun, self.go = threading.Event(), threading.Event()
        if not waits:
            self.go.set()

    def program(self) -> Program:
        """Return the program of these handlers."""

        def predict_fn(data: str, model: Any) -> str:
            return self.predict([data], model)[0]

        predict_fn.whippet_batch = self  # type: ignore[attr-defined]
        functions: dict[str, Callable[..., Any]] = {
            "input_fn": _read,
            "predict_fn": predict_fn,
            "output_fn": lambda prediction, accept: (prediction, "text/plain"),
        }
        return Program(functions=functions, context=Context())

    def prepare(self, data: str, model: Any) -> str:
        return f"{data}!"

    def predict(self, values: Sequence[str], model: Any) -> list[str]:
        self.sizes.append(len(values))
        self.begun.set()
        assert self.go.wait(SECONDS)
        if any(value.startswith("fault") for value in values):
            raise ValueError("a fault")
        return [value.removesuffix("!").upper() for value in values]


def _read(data: bytes, content_type: str | None) -> str:
    if data == b"refuse":
        raise inference.RequestError(415, "not this one")
    return bytes(data).decode()


def _call(program: Program, body: bytes, model: Any = None, **headers: str) -> Call:
    return Call(program, model, body, headers, "application/json")


def _together(calls: list[Call]) -> list[Any]:
    with ThreadPoolExecutor(2) as helpers:
        return answers_to(calls, helpers)


def test_what_waits_is_answered_together_and_a_lone_request_at_once() -> None:
    handlers, idle = Counting(), threading.Event()
    program, calls = handlers.program(), Calls(1, most=4, rest=idle.set)
    first = calls.submit(_call(program, b"first"))
    assert handlers.begun.wait(SECONDS)  # nobody else is there: it does not wait for others
    bodies = [b"a", b"b", b"refuse", b"c", b"d", b"e"]
    waiting = [calls.submit(_call(program, body)) for body in bodies]
    assert waiting[1].cancel()
    handlers.go.set()
    assert first.result(SECONDS).body == b"FIRST"
    others = [future.result(SECONDS) for future in waiting if not future.cancelled()]
    assert [answer.body for answer in others if answer.status_code == 200] == [
        *(b"A", b"C", b"D", b"E")
    ]
    refused = [answer for answer in others if answer.status_code != 200]
    assert [json.loads(answer.body) for answer in refused] == [{"error": "not this one"}]
    assert refused[0].status_code == 415
    # a, refuse, c and d are four; b was cancelled.
    assert handlers.sizes == [1, 3, 1]
    # What batches took is given back when nobody asks any more.
    assert idle.wait(SECONDS)


def test_a_lone_client_does_not_wait_while_memory_is_given_back() -> None:
    rests: list[None] = []
    program = Counting(waits=False).program()
    calls = Calls(1, most=4, rest=lambda: rests.append(None))
    for body in (b"a", b"b", b"c"):
        assert calls.submit(_call(program, body)).result(SECONDS).body == body.upper()
    assert rests == []


def test_one_at_fault_in_a_batch_harms_nobody_else() -> None:
    handlers = Counting(waits=False)
    program = handlers.program()
    answers = _together([_call(program, body) for body in (b"a", b"refuse", b"fault", b"b")])
    assert [answer.status_code for answer in answers] == [200, 415, 500, 200]
    assert (answers[0].body, answers[3].body) == (b"A", b"B")
    assert "ValueError: a fault" in json.loads(answers[2].body)["error"]
    assert handlers.sizes == [3, 1, 1, 1]


def test_handlers_without_batches_get_one_request_at_a_time() -> None:
    seen: list[bytes] = []
    begun, go = threading.Event(), threading.Event()

    def transform_fn(model: Any, data: bytes, content_type: str | None, accept: str) -> bytes:
        seen.append(data)
        begun.set()
        assert go.wait(SECONDS)
        return data

    program = Program(functions={"transform_fn": transform_fn}, context=Context())
    calls = Calls(1, most=8)
    futures = [calls.submit(_call(program, body)) for body in (b"a", b"b", b"c")]
    assert begun.wait(SECONDS)
    go.set()
    assert [future.result(SECONDS).body for future in futures] == [b"a", b"b", b"c"]
    assert seen == [b"a", b"b", b"c"]
    assert not program.batches


@pytest.mark.parametrize(
    ("source", "batches"),
    [
        (
            "from sm_entrypoints.inference import *\nfrom sm_entrypoints.inference import model_fn",
            1,
        ),
        (
            "from sm_entrypoints.inference import input_fn, model_fn, output_fn\n"
            "from sm_entrypoints import inference\n"
            "def predict_fn(data, model): return inference.predict_fn(data, model)\n",
            0,
        ),
        (
            "from sm_entrypoints.inference import input_fn, model_fn, predict_fn\n"
            "def output_fn(prediction, accept): return 'mine', 'text/plain'\n",
            0,
        ),
    ],
)
def test_a_users_own_handlers_are_never_passed_over(
    tmp_path: Path, source: str, batches: bool
) -> None:
    name = f"program_{len(source)}.py"
    (tmp_path / name).write_text(source)
    assert load_program(tmp_path, name).batches == batches


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> inference.Classifier:
    """Return a loaded model of ours."""
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    card = ModelCard(architecture="squeezenet1_1", classes=("a", "b", "c"), image_size=64)
    save_model(folder, build_model("squeezenet1_1", 3), card)
    return inference.model_fn(str(folder))


def test_our_own_handlers_answer_the_same_in_batches(model: inference.Classifier) -> None:
    names = ("input_fn", "predict_fn", "output_fn")
    functions = {name: getattr(inference, name) for name in names}
    program = Program(functions=functions, context=Context())
    assert program.batches
    bodies = []
    for color in ("red", "green", "blue", "white", "black"):
        buffer = io.BytesIO()
        Image.new("RGB", (90, 70), color).save(buffer, "JPEG")
        bodies.append(buffer.getvalue())
    bodies.insert(2, b"no picture")
    together = _together([_call(program, body, model) for body in bodies])
    alone = [_call(program, body, model).answer() for body in bodies]
    assert [each.status_code for each in together] == [200, 200, 400, 200, 200, 200]
    assert together[2].body == alone[2].body
    for many, one in zip(together, alone, strict=True):
        if one.status_code == 200:
            found, wanted = (json.loads(each.body)["predictions"] for each in (many, one))
            assert [row["label"] for row in found] == [row["label"] for row in wanted]
            assert [row["probability"] for row in found] == pytest.approx(
                [row["probability"] for row in wanted], abs=1e-5
            )
    csv = _call(program, bodies[0], model, accept="text/csv")
    assert _together([csv, csv])[0].body.startswith(b"label,probability\n")
