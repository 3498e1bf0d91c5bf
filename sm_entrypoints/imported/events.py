"""Turn the profiler's framework events (``pevents``) into the rows of ``steps.csv``.

A file holds trace events: an array with one event per line, cut off where a training was killed. A
phase has a process id in each file, named by an ``M`` event; a step's event spans its forward and
backward pass (smdebug/pytorch/hook.py and core/tfevent/timeline_file_writer.py of smdebug 1.0.34).
The files do not distinguish what happens between two steps (the update, the loader, logging), so
that time belongs to no phase, unless the loader's own events tell how long the step waited for
data.
"""

from __future__ import annotations

import bisect
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sm_entrypoints.contract import STEP_COLUMNS, STEP_PHASES, WHOLE_NETWORK
from sm_entrypoints.imported.sampling import epochs_of, left_out, readable
from sm_entrypoints.rules.reading import is_number

MAX_FILES = 2_000
MAX_FILE_BYTES = 50_000_000
_STEP = re.compile(r"Step:(?:ModeKeys\.)?(TRAIN|EVAL|GLOBAL)")
# smdebug/profiler/profiler_constants.py: PyTorch's and TensorFlow's loaders.
_LOADERS = ("DataLoaderIter", "DataIterator")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedSteps:
    """Rows of ``steps.csv`` in the order of time, and what was left out."""

    rows: Sequence[tuple[object, ...]]
    notes: Sequence[str]


@dataclass(frozen=True, slots=True, order=True)
class _Span:
    """Seconds since 1970 and their duration."""

    started: float
    seconds: float
    mode: str = ""
    step: int = -1

    @property
    def ended(self) -> float:
        return self.started + self.seconds


@dataclass(slots=True)
class _Timeline:
    """The spans that matter, of all files."""

    steps: list[_Span] = field(default_factory=list)
    forward: list[_Span] = field(default_factory=list)
    loading: list[_Span] = field(default_factory=list)

    def take(self, phase: str, name: str, span: _Span) -> None:
        match = _STEP.fullmatch(phase)
        if match:
            mode = "EVAL" if match[1] == "EVAL" else "TRAIN"
            self.steps.append(_Span(span.started, span.seconds, mode, span.step))
        elif phase == "Forward":
            self.forward.append(span)
        elif phase.startswith(_LOADERS) or name.startswith(_LOADERS):
            self.loading.append(span)


def read_steps(folder: Path) -> ImportedSteps:
    """Return the steps in a ``pevents`` folder.

    Raises:
        OSError: a file cannot be read.
    """
    chosen, skipped = readable(folder, "*/*timeline.json", most=MAX_FILES, size=MAX_FILE_BYTES)
    timeline = _Timeline()
    broken = sum(_read_file(path, timeline) for path in chosen)
    for spans in (timeline.steps, timeline.forward, timeline.loading):
        spans.sort()
    rows = list(_rows(timeline))
    notes = [*_time_outside(timeline), *left_out("framework events", skipped, broken)]
    return ImportedSteps(rows=rows, notes=notes)


def write_steps(path: Path, steps: ImportedSteps) -> None:
    """Write ``steps.csv``. Raises OSError when it cannot."""
    lines = [",".join(STEP_COLUMNS)]
    lines += [",".join(map(str, row)) for row in steps.rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _read_file(path: Path, timeline: _Timeline) -> int:
    """Take the events of one file; return how many lines are none."""
    phases: dict[object, str] = {}
    base, broken = 0.0, 0
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            event = _event(line)
            if event is None:
                broken += line.strip() not in ("[", "]", "")
                continue
            arguments = event.get("args")
            arguments = arguments if isinstance(arguments, dict) else {}
            if event.get("name") == "process_name":
                start = arguments.get("start_time_since_epoch_in_micros")
                base = float(start) if is_number(start) else base
                phases[event.get("pid")] = str(arguments.get("name") or "")
            elif is_number(event.get("ts")) and is_number(event.get("dur")):
                span = _Span(
                    (base + event["ts"]) / 1e6,
                    max(0.0, event["dur"] / 1e6),
                    "",
                    _step_number(arguments.get("step_num")),
                )
                timeline.take(phases.get(event.get("pid"), ""), str(event.get("name")), span)
    return broken


def _event(line: str) -> dict[str, Any] | None:
    try:
        event = json.loads(line.strip().lstrip("[").rstrip(",]") or "null")
    except ValueError:
        return None
    return event if isinstance(event, dict) and not isinstance(event.get("pid"), dict) else None


def _step_number(text: object) -> int:
    return int(text) if isinstance(text, str | int) and str(text).isdigit() else -1


def _rows(timeline: _Timeline) -> Iterator[tuple[object, ...]]:
    counts, ended = {"TRAIN": 0, "EVAL": 0}, 0.0
    epochs = epochs_of(span.mode for span in timeline.steps)
    for span, epoch in zip(timeline.steps, epochs, strict=True):
        step = span.step if span.step >= 0 else counts[span.mode]
        counts[span.mode] = step + 1
        forward = min(span.seconds, _within(timeline.forward, span.started, span.ended))
        # Without events of the forward pass the whole step is one: it cannot be told apart.
        forward = forward or span.seconds
        phases = dict.fromkeys(STEP_PHASES, 0.0)
        phases["data_wait"] = _within(timeline.loading, ended, span.started) if ended else 0.0
        phases["forward"], phases["backward"] = forward, span.seconds - forward
        ended = span.ended
        seconds = (f"{value:.6f}" for value in phases.values())
        yield (step, epoch, span.mode, f"{span.started:.6f}", *seconds, 0, WHOLE_NETWORK)


def _within(spans: Sequence[_Span], low: float, high: float) -> float:
    """Return the seconds of those spans that begin between two moments."""
    first = bisect.bisect_left(spans, low, key=lambda span: span.started)
    last = bisect.bisect_left(spans, high, key=lambda span: span.started)
    return sum(span.seconds for span in spans[first:last])


def _time_outside(timeline: _Timeline) -> Iterator[str]:
    steps = timeline.steps
    if len(steps) > 1 and not timeline.loading:
        whole = steps[-1].ended - steps[0].started
        outside = max(0.0, whole - sum(span.seconds for span in steps))
        yield (
            f"{100 * outside / whole if whole else 0:.0f}% of the time lies between the "
            "recorded steps (updates, data, logging): the profiler's events do not distinguish "
            "these."
        )
