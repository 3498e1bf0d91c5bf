"""What instrumentation costs, beside smdebug, a psutil loop and torch.profiler: one table.

    make bench-instrumentation

Runs the benchmarks of the hook and the profiler in the job environment and that of the report in
this one, trains once with the default settings to measure the size of its output, and prints all
figures with their goals (docs/benchmarks.md). It takes six minutes on two idle cores; other work on
the machine adds noise. The exit code says whether every goal was met.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.report import GOALS as REPORT_GOALS
from benchmarks.report import PAGE_BYTES, measured
from sm_entrypoints import contract

ROOT = Path(__file__).resolve().parents[1]
JOB = ROOT / ".venv-job/bin/python"
DEBUG_BYTES = 5_000_000
EPOCHS = 6
SAMPLER_SHARE, SAMPLER_MEGABYTES, PROFILER_SHARE = 0.003, 15.0, 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of the table; ``met`` is None if there is no goal."""

    what: str
    measured: str
    goal: str = ""
    met: bool | None = None


def in_job(module: str, *arguments: str) -> dict[str, Any]:
    """Run a benchmark of the job environment; return what it measured.

    Raises:
        subprocess.CalledProcessError: it failed; what it printed is on the terminal.
    """
    with tempfile.TemporaryDirectory(prefix="whippet-bench-") as scratch:
        found = Path(scratch) / "found.json"
        command = [str(JOB), "-m", module, "--json", str(found), *arguments]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        document: dict[str, Any] = json.loads(found.read_text(encoding="utf-8"))
        return document


def hook_rows(found: dict[str, Any]) -> list[Row]:
    """Return the lines on the hook and on smdebug's: wall time of a step."""
    rows = []
    for each in found["rows"]:
        wall, goal = each["wall"], each["goal"]
        rows.append(
            Row(
                what=f"hook: {each['what']}",
                measured=f"{_percents(wall)}, CPU {100 * each['cpu']['value']:+.2f}%",
                goal=f"≤ {100 * goal:.0f}%" if goal else "",
                met=wall["value"] <= goal if goal else None,
            )
        )
    return rows


def _percents(estimate: dict[str, float]) -> str:
    value, low, high = (100 * estimate[name] for name in ("value", "low", "high"))
    return f"{value:+.2f}% [{low:+.2f}, {high:+.2f}]"


def profiler_rows(found: dict[str, Any]) -> list[Row]:
    """Return the lines on sampler and profiler."""
    rows = []
    for each in found["samplers"]:
        ours = each["sampler"] == "ours"
        judged = ours and each["interval_ms"] == 500
        small = each["megabytes"] <= SAMPLER_MEGABYTES
        rows.append(
            Row(
                what=f"{'sampler' if ours else 'psutil loop'}, {each['interval_ms']} ms",
                measured=f"{each['share']:.2%} of a core, {each['megabytes']:.1f} MB",
                goal="≤ 0.3%, ≤ 15 MB" if judged else "",
                met=each["share"] <= SAMPLER_SHARE and small if judged else None,
            )
        )
    for name, what in (("armed", "phases, workers, window"), ("always", "torch.profiler, always")):
        rows.append(Row(what=f"{what}, on steps", measured=_percents(found[name])))
    for length, share in found["whole"].items():
        what, met = f"whole profiler, training of {length} s", share <= PROFILER_SHARE
        rows.append(Row(what=what, measured=f"{share:.2%} of the run", goal="≤ 1%", met=met))
    return rows


def debug_bytes(folder: Path, epochs: int) -> int:
    """Train once with default instrumentation; return the bytes that it left besides the model.

    Pictures of mistakes and the torch.profiler trace are left out: neither is debug data.
    """
    channels = {name: ROOT / f"samples/clipart/{name}" for name in ("train", "valid", "test")}
    variables = {
        "SM_MODEL_DIR": str(folder / "model"),
        "SM_OUTPUT_DATA_DIR": str(folder / "output/data"),
        "SM_OUTPUT_DIR": str(folder / "output"),
        "SM_NUM_GPUS": "0",
        "SM_CHANNELS": json.dumps([*channels]),
        **{f"SM_CHANNEL_{name.upper()}": str(path) for name, path in channels.items()},
    }
    settings = {"model": "resnet18", "trainable": "all", "image_size": 32, "batch_size": 8}
    argv = [f"--{name}={value}" for name, value in {**settings, "epochs": epochs}.items()]
    subprocess.run(
        [str(JOB), "-m", "sm_entrypoints.train", "--instrumentation=on", *argv],
        cwd=ROOT,
        env={**os.environ, **variables},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    output = folder / "output/data"
    kept = (contract.INSTRUMENTATION_FOLDER, contract.SYSTEM_FOLDER, contract.RULE_REPORTS_FOLDER)
    files = (file for name in kept for file in (output / name).rglob("*") if file.is_file())
    return sum(file.stat().st_size for file in files if "trace" not in file.name)


def debug_row() -> Row:
    """Return the line on what a training leaves."""
    with tempfile.TemporaryDirectory(prefix="whippet-bench-") as scratch:
        size = debug_bytes(Path(scratch), EPOCHS)
    return Row(
        what=f"debug data of {EPOCHS} epochs of resnet18",
        measured=f"{size / 1e6:.2f} MB",
        goal="≤ 5 MB",
        met=size <= DEBUG_BYTES,
    )


def report_rows(repeat: int) -> list[Row]:
    """Return the lines on the report."""
    rows = []
    for size, seconds in sorted(REPORT_GOALS.items()):
        found = measured(size, repeat)
        rows.append(
            Row(
                what=f"report of {size:,} samples + {size:,} steps",
                measured=f"{found['wall']:.2f} s, {found['page'] / 1e6:.2f} MB without pictures",
                goal=f"≤ {seconds:.0f} s, ≤ 2 MB",
                met=found["wall"] <= seconds and found["page"] <= PAGE_BYTES,
            )
        )
    return rows


def print_table(rows: list[Row]) -> None:
    """Print the lines in columns."""
    widths = [max(len(getattr(row, name)) for row in rows) for name in ("what", "measured", "goal")]
    for row in rows:
        verdict = {None: "", True: "met", False: "MISSED"}[row.met]
        columns = zip((row.what, row.measured, row.goal), widths, strict=True)
        print("  ".join([*(text.ljust(width) for text, width in columns), verdict]).rstrip())


def main() -> int:
    """Measure everything and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--cycles", type=int, default=24, help="of the hook's benchmark")
    parser.add_argument("--seconds", type=float, default=30.0, help="of the sampler's")
    parser.add_argument("--repeat", type=int, default=3, help="of the report's")
    chosen = parser.parse_args()
    print("profiler and sampler …", file=sys.stderr, flush=True)
    profiler = in_job("benchmarks.instrumentation_profiler", "--seconds", str(chosen.seconds))
    print("hook and smdebug …", file=sys.stderr, flush=True)
    hook = in_job("benchmarks.instrumentation_hook", "--cycles", str(chosen.cycles))
    print("debug data, report …", file=sys.stderr, flush=True)
    rows = [
        *hook_rows(hook),
        *profiler_rows(profiler),
        debug_row(),
        *report_rows(chosen.repeat),
    ]
    print(f"hook: resnet18, fully trained, a step of {hook['step_seconds']:.3f} s, both cores")
    print(f"profiler: resnet18, a step of {profiler['step_seconds']:.3f} s, one thread")
    print_table(rows)
    print(" ".join(f"{name}={value}" for name, value in hook["versions"].items()))
    return 1 if any(row.met is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
