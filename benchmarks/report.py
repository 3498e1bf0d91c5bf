"""How long does the report of a job with very many samples and steps take to read and render?

    .venv/bin/python -m benchmarks.report [--sizes 100000 1000000] [--repeat 3]

For each size n it creates a folder with n system samples (JSON lines, one file per minute), n steps
in steps.csv (five phase spans each), losses for as many steps as 5 MB of statistics hold (the
hook's quota), and everything else that a job leaves. Then a fresh Python process imports the
dashboards, reads the folder and writes the report, repeatedly. It prints medians: seconds of the
whole process (wall and CPU, including interpreter and imports) and of its parts, its peak memory,
and the size of the page without its pictures.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from sm_entrypoints import contract
from sm_entrypoints.contract.tensor_records import STATISTICS

ROOT = Path(__file__).resolve().parents[1]
_STATISTICS_BYTES = 5_000_000
_STARTED = 1_785_000_000.0
_SAMPLES_A_TICK = 10
GOALS = {100_000: 2.0, 1_000_000: 10.0}
PAGE_BYTES = 2_000_000
_COLUMNS = ("wall", "cpu", "import", "read", "render", "memory", "page")
_PROGRAM = """
import json, resource, sys, time
from datetime import UTC, datetime
from pathlib import Path
begin = time.perf_counter()
from dashboards.files.frames import read_training_output
from dashboards.report import Report, write_report
imported = time.perf_counter()
output = read_training_output(Path(sys.argv[1]))
read = time.perf_counter()
report = Report(title="t", run_name="r", generated_at=datetime.now(UTC), training=output)
write_report(Path(sys.argv[2]), report)
rendered = time.perf_counter()
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({
    "import": imported - begin, "read": read - imported, "render": rendered - read,
    "cpu": used.ru_utime + used.ru_stime, "memory": used.ru_maxrss / 1024,
}))
"""


def write_folder(folder: Path, count: int) -> None:
    """Write the output of a job with ``count`` system samples and ``count`` steps."""
    from tests.worlds.sample_output import write_output

    write_output(folder, samples=5_000, steps=600, layers=20, seconds=10)
    random = np.random.default_rng(5)
    _write_steps(folder / contract.INSTRUMENTATION_FOLDER / contract.STEPS_FILE, random, count)
    _write_losses(folder / contract.INSTRUMENTATION_FOLDER / contract.REDUCTIONS_FILE, count)
    for file in (folder / contract.SYSTEM_FOLDER).glob("*/*.json"):
        file.unlink()
    _write_system(folder / contract.SYSTEM_FOLDER, random, count)


def _write_steps(path: Path, random: np.random.Generator, count: int) -> None:
    phases = np.abs(random.normal(0.02, 0.004, (count, len(contract.STEP_PHASES))))
    phases[random.integers(0, count, count // 500), 0] += 0.3
    frame = pd.DataFrame(np.round(phases, 6), columns=list(contract.STEP_PHASES))
    frame["step"] = np.arange(count)
    frame["epoch"] = 1 + np.arange(count) * 12 // count
    frame["mode"] = np.where(np.arange(count) % 6 == 5, "EVAL", "TRAIN")
    frame["started"] = np.round(_STARTED + 0.1 * np.arange(count), 6)
    frame["samples"] = 32
    frame["network"] = contract.WHOLE_NETWORK
    frame[list(contract.STEP_COLUMNS)].to_csv(path, index=False)


def _write_losses(path: Path, count: int) -> None:
    empty = dict.fromkeys(STATISTICS)
    with path.open("a", encoding="utf-8") as file:
        for step in range(count):
            identity = {"step": step, "epoch": 1, "mode": "TRAIN", "collection": "losses"}
            values = {**empty, "mean": 2.0 / (1 + step / count), "nan": 0, "inf": 0}
            file.write(json.dumps({**identity, "name": "loss", **values}) + "\n")
            if file.tell() > _STATISTICS_BYTES:
                return


def _write_system(folder: Path, random: np.random.Generator, count: int) -> None:
    """Write ticks of ten samples each (four cores with I/O wait, memory, process) in 0.5 s."""
    names = [
        *(("cpu", f"cpu{core}", "CPUUtilization") for core in range(4)),
        *(("cpu", f"cpu{core}", "I/OWaitPercentage") for core in range(4)),
        ("memory", "MemoryUsedPercent", ""),
        ("memory", "ProcessMemoryBytes", ""),
    ]
    values = random.random((count // _SAMPLES_A_TICK, _SAMPLES_A_TICK)) * 100
    by_minute: dict[int, list[str]] = {}
    for tick, row in enumerate(values.tolist()):
        stamp = _STARTED + tick / 2
        lines = by_minute.setdefault(int(stamp) // 60 * 60, [])
        lines += [
            f'{{"Type":"{kind}","Name":"{name}","Dimension":"{dimension}","Value":{value:.6f},'
            f'"NodeId":"algo-1","Timestamp":{stamp}}}\n'
            for (kind, name, dimension), value in zip(names, row, strict=True)
        ]
    for minute, lines in by_minute.items():
        path = folder / time.strftime("%Y%m%d%H", time.gmtime(minute)) / f"{minute}.algo-1.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(lines), encoding="utf-8")


def measure(folder: Path, page: Path) -> dict[str, float]:
    """Return seconds, MB and bytes of one fresh process that reads and renders ``folder``."""
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(folder), str(page)],
        cwd=ROOT,
        env={name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
        stdout=subprocess.PIPE,
        check=True,
    )
    wall = time.perf_counter() - begin
    html = page.read_text("utf-8")
    pictures = sum(len(code) for code in re.findall(r"data:image/jpeg;base64,([^\"]*)", html))
    return {**json.loads(done.stdout), "wall": wall, "page": len(html.encode()) - pictures}


def measured(size: int, repeat: int) -> dict[str, float]:
    """Return the medians of ``repeat`` reports of ``size`` samples and as many steps."""
    with tempfile.TemporaryDirectory(prefix="whippet-report-") as scratch:
        folder = Path(scratch) / "output"
        write_folder(folder, size)
        runs = [measure(folder, Path(scratch) / "r.html") for _ in range(repeat)]
    return {name: statistics.median(run[name] for run in runs) for name in _COLUMNS}


def main() -> int:
    """Print the table; the exit code tells whether the goals were met."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=sorted(GOALS))
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    print("samples + steps    wall s   cpu s  import    read  render  peak MB      page B  goal")
    met = True
    for size in arguments.sizes:
        middle = measured(size, arguments.repeat)
        goal = GOALS.get(size)
        fine = (goal is None or middle["wall"] <= goal) and middle["page"] <= PAGE_BYTES
        met = met and fine
        times = " ".join(f"{middle[name]:7.2f}" for name in _COLUMNS[:5])
        print(
            f"{size:>9,} + {size:<9,} {times} {middle['memory']:8.0f} {middle['page']:11,.0f}  "
            f"{'met' if fine else 'missed'} (wall {goal or '-'} s, page 2,000,000 B)"
        )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
