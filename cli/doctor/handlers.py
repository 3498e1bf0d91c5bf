"""Call an archive's handlers with one good image, one after the other, in a separate process."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.doctor.checks import Check, failed, passed, warning
from cli.doctor.program import Bench, ending
from platforms.archives import regular_files
from sm_entrypoints.contract import INFERENCE_PROGRAM

_REPORT = "handlers.jsonl"
_LOG = "handlers.log"
_ANSWER_CHARACTERS = 64
_ADVICE = {
    "import": "it must import in a process that has nothing but the archive's code/ folder",
    "signatures": "correct it in code/inference.py",
    "pre_model_fn": "it gets the folder of the extracted archive, before model_fn",
    "model_fn": "it gets the folder of the extracted archive, and a context if it takes two "
    "arguments; build every path from model_dir",
    "model_warmup_fn": "it gets the folder of the extracted archive and the model",
    "input_fn": "it gets the bytes of the request and its Content-Type",
    "predict_fn": "it gets what input_fn and model_fn returned, in this order",
    "output_fn": "it gets what predict_fn returned and the Accept header; return str or bytes",
    "transform_fn": "it gets model, bytes, Content-Type and Accept; return str or bytes",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A good image to ask about."""

    path: Path
    content_type: str


def check_handlers(bench: Bench, picture: Picture) -> Iterator[Check]:
    """Yield one check for each stage up to the first that fails."""
    before = set(_listed(bench))
    status = bench.run(
        "rehearsal.py",
        *("handlers", "--model-dir", str(bench.model), "--image", str(picture.path)),
        *("--content-type", picture.content_type, "--report", str(bench.folder / _REPORT)),
        log=_LOG,
        seconds=bench.patience.handlers,
    )
    events = _events(bench.folder / _REPORT)
    for stage in _reached(events):
        yield _check(stage, events, status, bench)
    if not events:
        yield _died("import", status, bench)
    written = sorted(set(_listed(bench)) - before)
    if written:
        yield _wrote(written)


def _listed(bench: Bench) -> Iterator[tuple[str, int]]:
    """Yield the files of the archive with the time of their last change; caches do not count."""
    for path in regular_files(bench.model):
        if "__pycache__" not in path.parts:
            yield str(path.relative_to(bench.model)), path.stat().st_mtime_ns


def _wrote(files: list[tuple[str, int]]) -> Check:
    names = ", ".join(name for name, _ in files[:3]) + (" …" if len(files) > 3 else "")
    # SageMaker's guide, "How SageMaker AI loads your model artifacts".
    return warning(
        "read-only model",
        f"{INFERENCE_PROGRAM} wrote {names} into the model's folder, which is read-only in "
        "SageMaker's containers",
        "write below tempfile.gettempdir()",
    )


def _events(report: Path) -> list[dict[str, Any]]:
    try:
        lines = report.read_text("utf-8").splitlines(keepends=True)
    except FileNotFoundError:
        return []
    # A process that was killed may leave half a line.
    return [json.loads(line) for line in lines if line.endswith("\n")]


def _reached(events: list[dict[str, Any]]) -> list[str]:
    stages = [event["stage"] for event in events if event["event"] in ("begin", "error")]
    return list(dict.fromkeys(stages))


def _check(stage: str, events: list[dict[str, Any]], status: int | None, bench: Bench) -> Check:
    by_event: dict[str, Mapping[str, Any]] = {
        event["event"]: event for event in events if event["stage"] == stage
    }
    if "error" in by_event:
        return _raised(stage, by_event["error"])
    if "end" not in by_event:
        return _died(stage, status, bench)
    if by_event["end"].get("returned") == "NoneType":
        return warning(stage, f"{stage} returns None", "end it with `return`")
    return passed(stage, _success(stage, by_event, events))


def _success(
    stage: str, by_event: Mapping[str, Mapping[str, Any]], events: list[dict[str, Any]]
) -> str:
    seconds = f"{by_event['end']['seconds']:.2f} s"
    if stage == "import":
        return f"{INFERENCE_PROGRAM} imports in a clean process ({seconds})"
    if stage == "signatures":
        handlers = by_event.get("given", {"names": []})["names"]
        return f"{INFERENCE_PROGRAM} defines {', '.join(handlers)}"
    answer = next((event for event in events if event["stage"] == "answer"), None)
    if stage in ("output_fn", "transform_fn") and answer is not None:
        return f"answers {textwrap.shorten(answer['text'], _ANSWER_CHARACTERS, placeholder=' …')}"
    return f"returns ({seconds})"


def _raised(stage: str, error: Mapping[str, Any]) -> Check:
    message = str(error["message"])
    kind = message.partition(":")[0]
    if kind.endswith("ProgramError"):  # The sentence is ours and says what to change.
        return failed(stage, message.partition(":")[2].strip(), _ADVICE["signatures"])
    advice = _ADVICE.get(stage, "see the traceback")
    if kind == "ModuleNotFoundError":
        advice = "put the module into code/, or its package into code/requirements.txt"
    return failed(stage, f"{_place(stage)} raises {message}", advice, error["traceback"])


def _died(stage: str, status: int | None, bench: Bench) -> Check:
    place, log = _place(stage), bench.tail(_LOG)
    if status is None:
        problem = f"{place} did not return within {bench.patience.handlers:g} seconds"
        return failed(stage, problem, "find out what it waits for: it must not need a network", log)
    return failed(stage, f"{place} ended the process ({ending(status)})", _ADVICE[stage], log)


def _place(stage: str) -> str:
    return INFERENCE_PROGRAM if stage in ("import", "signatures") else stage
