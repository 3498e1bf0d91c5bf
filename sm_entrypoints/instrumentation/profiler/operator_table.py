"""Operators by the time they took, from torch.profiler's trace in Chrome's format.

Why not ``profile.key_averages()``: it builds a Python object with a tree around it for each event,
which takes 0.1 to 0.2 ms; this module takes about 10 µs including reading the file (measured by
``benchmarks/instrumentation_profiler.py``). A test compares the two.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sm_entrypoints.contract import OPERATOR_COLUMNS
from sm_entrypoints.contract.strangers.tables import table

MOST_ROWS = 60
_MICROSECOND = 1e-6
# Categories of Kineto's events: what runs on a device on behalf of an operator.
_DEVICE = frozenset({"kernel", "gpu_memcpy", "gpu_memset"})

Event = Mapping[str, Any]


@dataclass(slots=True)
class Operator:
    """All calls of one operator, times in seconds; of nested calls both count as total time."""

    name: str
    calls: int = 0
    self_cpu: float = 0.0
    cpu: float = 0.0
    self_device: float = 0.0
    device: float = 0.0


@dataclass(slots=True)
class _Call:
    """An operator's call that others may run inside; times in microseconds."""

    name: str
    end: float
    cpu: float
    device: float
    inside: list[_Call] = field(default_factory=list)


def operators(events: Iterable[Event]) -> list[Operator]:
    """Return the operators of a trace's ``traceEvents``, those with the most self time first.

    A kernel's time belongs to the operator that launched it, by Kineto's ``External id``. Self
    time is that on the device, if any ran there, else that on the CPU.
    """
    threads: dict[tuple[Any, Any], list[Event]] = defaultdict(list)
    kernels: dict[Any, float] = defaultdict(float)
    for event in events:
        if event.get("ph") != "X":
            continue
        category = event.get("cat")
        if category == "cpu_op":
            threads[event["pid"], event["tid"]].append(event)
        elif category in _DEVICE:
            kernels[event.get("args", {}).get("External id")] += event["dur"]
    by_name: dict[str, Operator] = {}
    for calls in threads.values():
        for call in _nested(calls, kernels):
            _add(by_name, call)
    by_device = bool(kernels)
    return sorted(
        by_name.values(), key=lambda each: each.self_device if by_device else each.self_cpu
    )[::-1]


def _nested(events: list[Event], kernels: Mapping[Any, float]) -> list[_Call]:
    """Return the outermost calls of one thread, with the others inside them."""
    outermost: list[_Call] = []
    stack: list[_Call] = []
    for event in sorted(events, key=lambda each: (each["ts"], -each["dur"])):
        start, seconds = event["ts"], event["dur"]
        device = kernels.get(event.get("args", {}).get("External id"), 0.0)
        call = _Call(event["name"], start + seconds, seconds, device)
        while stack and stack[-1].end <= start:
            stack.pop()
        (stack[-1].inside if stack else outermost).append(call)
        stack.append(call)
    return outermost


def _add(found: dict[str, Operator], call: _Call) -> float:
    """Add a call and those inside it; return its device time, theirs included.

    An operator that only calls another form of itself counts once, as in ``key_averages()``.
    """
    while len(call.inside) == 1 and call.inside[0].name == call.name:
        call.device += call.inside[0].device
        call.inside = call.inside[0].inside
    device = call.device + sum(_add(found, inner) for inner in call.inside)
    own = call.cpu - sum(inner.cpu for inner in call.inside)
    total = found.setdefault(call.name, Operator(call.name))
    total.calls += 1
    total.self_cpu += max(0.0, own) * _MICROSECOND
    total.cpu += call.cpu * _MICROSECOND
    total.self_device += call.device * _MICROSECOND
    total.device += device * _MICROSECOND
    return device


def operators_csv(rows: Sequence[Operator]) -> str:
    """Return the first ``MOST_ROWS`` as CSV with ``contract.OPERATOR_COLUMNS``.

    ``share`` is self time of all operators' self time, also of those left out.
    """
    on_device = any(row.self_device for row in rows)
    whole = sum(row.self_device if on_device else row.self_cpu for row in rows)
    lines = []
    for row in rows[:MOST_ROWS]:
        times = (row.self_cpu, row.cpu, row.self_device, row.device)
        own = row.self_device if on_device else row.self_cpu
        share = own / whole if whole else 0.0
        lines.append([row.name, row.calls, *(f"{time:.9f}" for time in times), f"{share:.6f}"])
    return table(OPERATOR_COLUMNS, lines)
