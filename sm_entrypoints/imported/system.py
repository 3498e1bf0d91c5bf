"""Copy the system metrics of SageMaker's profiler, as far as they are sound.

The layout is kept: one folder per hour, one file per minute and node, one JSON object per line.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sm_entrypoints.imported.sampling import left_out, readable
from sm_entrypoints.rules.reading import is_number

# More than a day of minutes; 10^6 samples make a report of 10 seconds.
MAX_FILES = 2_000
MAX_FILE_BYTES = 20_000_000
_TEXTS = ("Type", "Name", "Dimension", "NodeId")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedSystem:
    """How many samples were copied, their usual distance, and what was not."""

    samples: int
    interval_ms: float | None
    notes: list[str]


def copy_system(source: Path, target: Path) -> ImportedSystem:
    """Copy sound samples from a ``system/incremental`` folder into ``target``.

    Raises:
        OSError: a file cannot be read or written.
    """
    chosen, skipped = readable(source, "*/*.json", most=MAX_FILES, size=MAX_FILE_BYTES)
    samples = broken = 0
    moments: dict[tuple[str, ...], list[float]] = {}
    for path in chosen:
        lines = []
        for sample in _samples(path):
            if sample is None:
                broken += 1
                continue
            lines.append(json.dumps(sample))
            key = tuple(sample[name] for name in _TEXTS)
            if not moments or key in moments:  # one series tells the interval
                moments.setdefault(key, []).append(sample["Timestamp"])
        samples += len(lines)
        copy = target / path.parent.name / path.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return ImportedSystem(
        samples=samples,
        interval_ms=_interval(next(iter(moments.values()), [])),
        notes=left_out("system metrics", skipped, broken),
    )


def _samples(path: Path) -> Iterator[dict[str, Any] | None]:
    """Yield the samples of one file; None for a line that is none."""
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            if not line.strip():
                continue
            try:
                sample = json.loads(line)
            except ValueError:
                yield None
                continue
            yield _sound(sample)


def _sound(sample: object) -> dict[str, Any] | None:
    if not isinstance(sample, dict):
        return None
    value, moment = sample.get("Value"), sample.get("Timestamp")
    if not is_number(value) or not is_number(moment):
        return None
    texts = {name: str(sample.get(name) or "") for name in _TEXTS}
    return {**texts, "Value": value, "Timestamp": moment}


def _interval(moments: list[float]) -> float | None:
    """Return the median distance of one series' samples in milliseconds."""
    ordered = sorted(moments)
    gaps = sorted(b - a for a, b in itertools.pairwise(ordered))
    return round(1e3 * gaps[len(gaps) // 2], 1) if gaps else None
