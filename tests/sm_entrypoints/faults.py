"""Raise in every call that the instrumentation makes to the outside, found by running it.

    python -m tests.sm_entrypoints.faults FOLDER

trains a small network again and again, each time with an error in the place of one call: to torch,
NumPy, psutil, smdebug, a file, a thread. Prints a line of JSON a call. In a process of its own:
smdebug keeps its state in globals, and the profile function slows all that runs.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sm_entrypoints.instrumentation.profiler.workers import Making
from sm_entrypoints.instrumentation.session import Instrumentation
from sm_entrypoints.job.environment import Environment
from sm_entrypoints.job.process_use import ProcessUse
from tests.sm_entrypoints.planted import Tiny

OURS = str(Path(__file__).resolve().parents[2] / "sm_entrypoints")
# What measures; all else in sm_entrypoints is the training's own.
_MEASURING_FILES = (
    *sorted(Path(OURS, "instrumentation").rglob("[!_]*.py")),
    Path(OURS, "job/process_use.py"),
)
MEASURING = tuple(path.stem for path in _MEASURING_FILES)
_FILES = {str(path): path.stem for path in _MEASURING_FILES}
# What only returns another value, and clocks, which stand around every phase.
_SAFE = re.compile(
    r"(abc|collections|enum|math|namedtuple_|time|sm_entrypoints|warnings|numpy\._core\._methods)\b"
    r"|pathlib\.(PurePath|Path\.__new__)|_weakrefset|.*_dispatcher$|threading\.Event\.__init__"
    r"|builtins\.((list|dict|defaultdict|str|tuple|array|Counter|Pattern)\.|[a-z]+$)"
    r"|builtins\.(Tensor|Parameter)\.(dim|numel|is_\w+|element_size)$"
)
# The longest time in which the system sampler takes no sample.
_UNSEEN_SECONDS = 0.06
CONFIG = {
    "HookParameters": {"save_interval": "1", "whippet.quota_bytes": "100000"},
    "CollectionConfigurations": [
        {"CollectionName": "losses"},
        {"CollectionName": "gradients"},
        {"CollectionName": "relu_output"},
    ],
}


class Call(NamedTuple):
    """A call that instrumentation makes: from a function of a file of ours, to what it calls."""

    file: str
    function: str
    callee: str


class Unspeakable(Exception):
    """An error whose text cannot be had, as those of some libraries."""

    def __str__(self) -> str:
        raise ValueError("no text")


ERRORS = (RuntimeError("injected"), SystemExit(3), Unspeakable(), OSError(28, "No space left"))


@contextmanager
def calls() -> Iterator[dict[Call, CodeType]]:
    """List every call made inside the block, also in threads begun there, and from where."""
    found: dict[Call, CodeType] = {}

    def look(frame: FrameType, event: str, argument: Any) -> None:
        call = _call(frame, event, argument)
        caller = frame if event == "c_call" else frame.f_back
        if call is not None and caller is not None:
            found[call] = caller.f_code

    with _profiling(look):
        yield found


@contextmanager
def failing(wanted: Call, code: CodeType, error: BaseException) -> Iterator[list[Call]]:
    """Raise ``error`` once, in the place of the first call ``wanted`` from ``code``; list it."""
    happened: list[Call] = []

    def look(frame: FrameType, event: str, argument: Any) -> None:
        # Most events of a training are none of ours: this line is what the test's time goes into.
        caller = frame if event == "c_call" else frame.f_back if event == "call" else None
        if caller is None or caller.f_code is not code or happened:
            return
        if _call(frame, event, argument) == wanted:
            happened.append(wanted)
            raise error

    with _profiling(look):
        yield happened


@contextmanager
def _profiling(look: Any) -> Iterator[None]:
    threading.setprofile(look)
    sys.setprofile(look)
    try:
        yield
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]


def _call(frame: FrameType, event: str, argument: Any) -> Call | None:
    """Return the call that an event is about, if it is one of the instrumentation's to outside."""
    if event == "c_call":
        file = _FILES.get(frame.f_code.co_filename)
        if file is None:
            return None
        caller: FrameType | None = frame
        callee = f"{argument.__module__ or 'builtins'}.{argument.__qualname__}"
    elif event == "call":
        caller = frame.f_back
        file = _FILES.get(caller.f_code.co_filename) if caller is not None else None
        if file is None or frame.f_code.co_filename.startswith(OURS):
            return None
        callee = f"{frame.f_globals.get('__name__')}.{frame.f_code.co_qualname}"
    else:
        return None
    if caller is None or _SAFE.match(callee):
        return None
    return Call(file, caller.f_code.co_qualname, callee)


def train(root: Path, *, measured: bool) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Train an epoch of four steps and return the weights, and the instrumentation's summary."""
    began = time.monotonic()
    torch.manual_seed(0)
    config = root / "config"
    config.mkdir(parents=True)
    profiler = {"ProfilingIntervalInMilliseconds": 100}
    (config / "profilerconfig.json").write_text(json.dumps(profiler))
    hook = {**CONFIG, "LocalPath": str(root / "tensors")}
    (config / "debughookconfig.json").write_text(json.dumps(hook))
    environment = Environment(config_dir=config, output_data_dir=root / "data")
    model, loss_function = Tiny(3), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with (
        Instrumentation.from_environment(
            environment,
            model=model,
            loss_function=loss_function,
            requested="auto" if measured else "off",
        ) as watch,
        ProcessUse() if measured else contextlib.nullcontext(),
    ):
        watch.schedule(4, 1)
        watch.epoch(1, "TRAIN")
        for step in range(4):
            watch.batch(Making(7 + step, 0.0, 0.0), 4)
            with watch.phase("data_wait"):
                images, labels = torch.randn(4, 3, 32, 32), torch.randint(0, 3, (4,))
            with watch.phase("forward"):
                loss = loss_function(model(images), labels)
            with watch.phase("backward"):
                optimizer.zero_grad()
                loss.backward()
            with watch.phase("optimizer"):
                optimizer.step()
            watch.step(4, loss)
        watch.epoch(1, "EVAL")
        with torch.no_grad(), watch.phase("forward"):
            loss = loss_function(model(images), labels)
        watch.step(4, float(loss))
        time.sleep(max(0.0, began + _UNSEEN_SECONDS - time.monotonic()))
    return model.state_dict(), watch.close()


def _try(root: Path, call: Call, code: CodeType, expected: dict[str, Tensor]) -> dict[str, Any]:
    """Train with an error in the place of ``call``; return what became of it."""
    error = ERRORS[zlib.crc32(repr(call).encode()) % len(ERRORS)]
    ended, weights = None, dict[str, Tensor]()
    with (
        contextlib.redirect_stdout(io.StringIO()) as printed,
        failing(call, code, error) as happened,
    ):
        try:
            weights, _ = train(root, measured=True)
        except BaseException as escaped:  # noqa: BLE001 - that is what is looked for
            ended = type(escaped).__name__
    return {
        "file": call.file,
        "call": f"{call.function} calls {call.callee}",
        "error": type(error).__name__,
        "ended": ended,
        "happened": bool(happened),
        "same": all(
            torch.equal(weights.get(name, weight + 1), weight) for name, weight in expected.items()
        ),
        "printed": printed.getvalue().splitlines(),
    }


def main(folder: Path) -> None:
    """Try every call; print what became of each."""
    torch.set_num_threads(1)
    expected, _ = train(folder / "plain", measured=False)
    train(folder / "warm", measured=True)
    with calls() as found:
        measured, summary = train(folder / "measured", measured=True)
    print(
        json.dumps(
            {
                "failure": summary["failure"],
                "same": all(
                    torch.equal(measured[name], weight) for name, weight in expected.items()
                ),
            }
        )
    )
    places = {(call.file, call.callee): call for call in sorted(found)}
    for number, call in enumerate(places.values()):
        print(json.dumps(_try(folder / str(number), call, found[call], expected)), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
