"""The packed search on a machine with a GPU: the same comparisons, and whether the GPU is watched.

    make bench-gpu
    .venv-job/bin/python -m benchmarks.search.gpu --weights FILE    # without a network

Takes at most eight minutes, and needs the job environment alone. It runs one instrumented training,
of which it reads whether the sampler saw the GPU, which rules about GPUs had something to examine,
and how long the steps waited for pictures. Then come the comparisons of ``make bench-search`` with
fewer pairs. Without a GPU it says so, and its exit code is 2.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.instrumentation import Row
from benchmarks.parts import print_parts
from benchmarks.search.__main__ import beside_one_pass, beside_others, beside_the_loop, in_process
from benchmarks.search.processes import JOB
from benchmarks.search.world import World, options, prepared
from sm_entrypoints import contract

_PROBE = "import torch; print(torch.cuda.get_device_name() if torch.cuda.is_available() else '')"


def watched(world: World) -> list[Row]:
    """Train with instrumentation; return what it noticed of the GPU."""
    job = world.job("watched")
    job.run("train", world.fixed(trainable="all", instrumentation="on", epochs=3))
    folder = job.output / contract.INSTRUMENTATION_FOLDER
    rules = json.loads((folder / contract.RULES_FILE).read_text("utf-8"))["rules"]
    about = [each for each in rules if "GPU" in each["rule"]]
    examined = [each["rule"] for each in about if each["status"] != "NotApplicable"]
    files = (job.output / contract.SYSTEM_FOLDER).rglob("*.json")
    samples = sum(file.read_text("utf-8").count('"Type":"gpu"') for file in files)
    summary = json.loads((folder / contract.INSTRUMENTATION_SUMMARY_FILE).read_text("utf-8"))
    return [
        Row(what="values of the GPU by NVML", measured=str(samples), goal="> 0", met=samples > 0),
        Row(
            what=f"rules about GPUs that had something to examine, of {len(about)}",
            measured=", ".join(examined) or "none",
            goal="≥ 1",
            met=bool(examined),
        ),
        Row(what="share of training steps that waited for pictures", measured=_waited(summary)),
    ]


def _waited(summary: dict[str, dict[str, dict[str, float]]]) -> str:
    phases = summary["phase_seconds"]["TRAIN"]
    return f"{phases['data_wait'] / sum(phases.values()):.0%}, {summary['workers']} loaders"


PARTS: dict[str, Callable[[World], list[Row]]] = {
    "watched": watched,
    "pass": beside_one_pass,
    "heads": in_process,
    "others": beside_others,
    "loop": beside_the_loop,
}


def main() -> int:
    """Print the table; the exit code tells whether the goals were met."""
    parser = options(__doc__)
    parser.add_argument("--parts", nargs="+", choices=sorted(PARTS), default=list(PARTS))
    parser.set_defaults(pairs=2)
    arguments = parser.parse_args()
    name = subprocess.run([JOB, "-c", _PROBE], capture_output=True, text=True, check=True)
    if not name.stdout.strip():
        print("there is no GPU that PyTorch can use on this machine", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="whippet-bench-gpu-") as scratch:
        world = prepared(Path(scratch), arguments)
        print(f"{name.stdout.strip()}, pictures: {world.counts}", flush=True)
        return print_parts(PARTS[part](world) for part in arguments.parts)


if __name__ == "__main__":
    raise SystemExit(main())
