"""The packed search on a machine with a GPU: the same comparisons, and whether the GPU is watched.

    make bench-gpu

Takes at most eight minutes. It runs the comparisons of ``make bench-search`` with fewer pairs, then
one instrumented training, of which it reads whether the sampler saw the GPU and which rules about
GPUs had something to examine. Without a GPU it says so, and its exit code is 2.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.instrumentation import Row
from benchmarks.search.__main__ import (
    World,
    beside_one_pass,
    beside_others,
    beside_the_loop,
    options,
    prepared,
    print_table,
)
from benchmarks.search.processes import JOB
from sm_entrypoints import contract

_PROBE = "import torch; print(torch.cuda.get_device_name() if torch.cuda.is_available() else '')"


def watched(world: World) -> list[Row]:
    """Train with instrumentation; return what it noticed of the GPU."""
    job = world.job("watched")
    job.run("train", world.fixed(trainable="all", instrumentation="on", epochs=2))
    folder = job.output / contract.INSTRUMENTATION_FOLDER
    rules = json.loads((folder / contract.RULES_FILE).read_text("utf-8"))["rules"]
    about = [each for each in rules if "GPU" in each["rule"]]
    examined = [each["rule"] for each in about if each["status"] != "NotApplicable"]
    system = "".join(
        file.read_text("utf-8") for file in (folder / contract.SYSTEM_FOLDER).rglob("*.json")
    )
    samples = system.count('"Type":"gpu"')
    return [
        Row(what="samples of the GPU by NVML", measured=str(samples), goal="> 0", met=samples > 0),
        Row(
            what=f"rules about GPUs that had something to examine, of {len(about)}",
            measured=", ".join(examined) or "none",
            goal="≥ 1",
            met=bool(examined),
        ),
    ]


def main() -> int:
    """Print the table; the exit code tells whether the goals were met."""
    name = subprocess.run([JOB, "-c", _PROBE], capture_output=True, text=True, check=True)
    if not name.stdout.strip():
        print("there is no GPU that PyTorch can use on this machine", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="whippet-bench-gpu-") as scratch:
        world = prepared(Path(scratch), options().parse_args(["--pairs", "3"]))
        print(f"{name.stdout.strip()}, pictures: {world.counts}", flush=True)
        rows: list[Row] = []
        for part in (watched, beside_one_pass, beside_others, beside_the_loop):
            rows += part(world)
            print_table(rows)
    return 0 if all(row.met is not False for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
