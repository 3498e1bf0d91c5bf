"""What a packed search costs, side by side with what people do instead: one table.

    make bench-search

Makes a data set of JPEG files, then runs whole processes in turn: one best-effort forward pass over
the same pictures, and the search cold, warm and with more trials. After that the peers: the
write-ups' loop, Optuna over ``train.py`` and many heads in one training. Ratios are of pairs that
ran next to each other, as median and quartiles. The exit code says whether every goal was met.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.instrumentation import Row
from benchmarks.parts import print_parts
from benchmarks.search.choices import choices
from benchmarks.search.pictures import copies
from benchmarks.search.processes import JOB, Timed, timed
from benchmarks.search.ratios import Ratios
from benchmarks.search.world import EPOCHS, MORE, TRIALS, WRITE_UPS, World, options, prepared


def beside_one_pass(world: World) -> list[Row]:
    """Run one pass and searches in turn; return their ratios and what each takes."""
    cold, warm, bare, more, beside_rough = (Ratios() for _ in range(5))
    took: dict[str, list[Timed]] = {}

    def note(kind: str, spent: Timed) -> Timed:
        took.setdefault(kind, []).append(spent)
        return spent

    for pair in range(world.pairs):
        once = note("one forward pass in float32", world.peer("forward"))
        rough = note("the same in bfloat16", world.peer("forward", "bfloat16"))
        first = note(f"cold search, {TRIALS} trials", world.search(f"cold-{pair}", TRIALS))
        again = note(f"warm search, {TRIALS} trials", world.search(f"cold-{pair}", TRIALS, seed=1))
        inside = world.job(f"cold-{pair}").seconds_of_search()
        many = note(f"cold search, {MORE} trials", world.search(f"more-{pair}", MORE))
        note("start of Python with torch", timed([JOB, "-c", "import torch, torchvision"]))
        cold.add(first.wall, once.wall)
        beside_rough.add(first.wall, rough.wall)
        warm.add(again.wall, once.wall)
        bare.add(inside, float(once.last_line()["seconds"]))
        more.add(many.wall, first.wall)
    rows = [
        Row(what=f"{kind}: seconds, peak MB", measured=_middle(each)) for kind, each in took.items()
    ]
    return [
        *rows,
        cold.row(f"cold search of {TRIALS} trials by one forward pass", 1.10),
        Row(
            what="the same by a pass in bfloat16, which gives many pictures another class",
            measured=f"{beside_rough.median:.2f}",
        ),
        warm.told("warm search by one forward pass, start-up included"),
        bare.told("the same from where both have imported torch, by their own clocks"),
        more.row(f"{MORE} trials by {TRIALS}, cold", 1.25),
    ]


def warm_beside_one_pass(world: World) -> list[Row]:
    """Run one pass and warm searches in turn, after a search that looked at the pictures.

    The network is the write-ups': the goal comes from its operations and the size of its head.
    """
    world = world.with_random_weights(WRITE_UPS)
    world.search("warm", TRIALS)
    whole, bare = Ratios(), Ratios()
    for pair in range(world.pairs):
        once = world.peer("forward")
        again = world.search("warm", TRIALS, seed=1 + pair)
        inside = world.job("warm").seconds_of_search()
        print(f"one pass {once.wall:.1f} s, warm {again.wall:.1f} s, {inside:.2f} s of search")
        whole.add(again.wall, once.wall)
        bare.add(inside, float(once.last_line()["seconds"]))
    count = sum(world.counts.values())
    what = f"warm search by one forward pass, {world.model}, {count:,} pictures"
    return [
        Row(what=f"{what}, start-up included", measured=f"{whole.median:.3g} times"),
        bare.row(f"{what}, from where both have imported torch", 0.05),
    ]


def _middle(each: Sequence[Timed]) -> str:
    wall = statistics.median(spent.wall for spent in each)
    cpu = statistics.median(spent.cpu for spent in each)
    return f"{wall:.1f} s, CPU {cpu:.1f} s, {max(spent.megabytes for spent in each):.0f} MB"


def beside_the_loop(world: World) -> list[Row]:
    """Run a small grid both ways, whole; return the ratio and how far the best losses differ.

    The ratio of the whole search is scaled from one trial's seconds a picture.
    """
    ranges = {
        "lr": {"type": "categorical", "values": [1e-3, 3e-3, 1e-2]},
        "batch_size": {"type": "categorical", "values": [16, 32]},
    }
    epochs = 2
    fixed = {"epochs": epochs, "precision": "float32", "schedule": "constant"}
    packed = world.search("grid", 4, ranges=ranges, **fixed)
    trials = json.loads((world.job("grid").output / "trials.json").read_text("utf-8"))
    spent, losses = [], []
    for trial in trials:
        tuned = {name: json.loads(text) for name, text in trial["TunedHyperParameters"].items()}
        chosen = {**world.fixed(), "weight_decay": 0.01, **tuned, "epochs": epochs}
        spent.append(world.peer("notebook_loop", json.dumps(chosen)))
        losses.append(spent[-1].last_line()["best"])
    ours = min(t["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for t in trials)
    pictures = world.counts["train"] + world.counts["valid"]
    start = timed([JOB, "-c", "import torch, torchvision"]).wall
    each = statistics.median(one.wall - start for one in spent) / (epochs * pictures)
    whole = TRIALS * (start + EPOCHS * pictures * each)
    search = statistics.median(
        world.search(f"loop-{number}", TRIALS).wall for number in range(world.repeats)
    )
    grid, scaled = Ratios(), Ratios()
    grid.add(sum(one.wall for one in spent), packed.wall)
    scaled.add(whole, search)
    difference = abs(min(losses) - ours)
    return [
        Row(
            what="the write-ups' loop by ours, 4 trials of 2 epochs, whole",
            measured=f"{grid.median:.1f} times",
        ),
        scaled.row(f"the write-ups' loop by ours, {TRIALS} by {EPOCHS}, scaled", 60, at_least=True),
        Row(
            what="best validation loss of the grid, difference",
            measured=f"{difference:.1e}",
            goal="≤ 1e-4",
            met=difference <= 1e-4,
        ),
    ]


def beside_others(world: World) -> list[Row]:
    """Run training after training, and many heads at once; return their ratios to our search."""
    numbers = range(world.repeats)
    search = statistics.median(world.search(f"others-{n}", TRIALS).wall for n in numbers)
    single = [world.job(f"single-{n}").run("train", world.fixed(seed=n)).wall for n in numbers]
    heads = Ratios()
    for _ in numbers:
        heads.add(world.peer("many_heads", TRIALS, EPOCHS).wall, search)
    each = statistics.median(single)
    return [
        Row(
            what=f"{TRIALS} jobs of train.py, which keep features within a job, by ours "
            f"({len(single)} run)",
            measured=f"{TRIALS * each / search:.1f} times",
        ),
        heads.row("many heads that run the backbone in every epoch by ours", 4, at_least=True),
    ]


def in_process(world: World) -> list[Row]:
    """Return what the benchmark of the heads alone found, in the job environment."""
    found = world.folder / "heads.json"
    inputs = [world.data, world.model, world.weights.parent, world.size, "--json", found]
    module = [JOB, "-m", "benchmarks.search.job_heads"]
    timed([str(each) for each in (*module, *inputs)])
    rows = []
    for each in json.loads(found.read_text("utf-8")):
        ratios = Ratios(values=each["ratios"])
        rows.append(ratios.row(each["what"], each["goal"], at_least=each["at_least"]))
    return rows


def memory(world: World) -> list[Row]:
    """Return the peak memory of a search of these pictures and of ten times as many."""
    larger = replace(world, folder=world.folder / "tenfold")
    copied = copies(world.data, larger.data, times=10)
    larger.weights.parent.mkdir()
    larger.weights.symlink_to(world.weights)
    peaks = {
        sum(counts): each.search("memory", TRIALS, epochs=1).megabytes
        for each, counts in ((world, world.counts.values()), (larger, copied.values()))
    }
    (few, low), (many, high) = peaks.items()
    kilobytes = 1024 * (high - low) / (many - few)
    return [
        Row(
            what=f"peak memory at {few:,} and {many:,} pictures",
            measured=f"{low:.0f} MB and {high:.0f} MB: {kilobytes:.1f} KB a picture",
        )
    ]


PARTS: dict[str, Callable[[World], list[Row]]] = {
    "pass": beside_one_pass,
    "warm": warm_beside_one_pass,
    "loop": beside_the_loop,
    "others": beside_others,
    "heads": in_process,
    "memory": memory,
    "choice": lambda world: choices(world.folder),
}


def main() -> int:
    """Print the table; the exit code tells whether the goals were met."""
    parser = options(__doc__)
    parser.add_argument("--parts", nargs="+", choices=sorted(PARTS), default=list(PARTS))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="whippet-bench-search-") as scratch:
        world = prepared(Path(scratch), arguments)
        print(f"{world.model} at {world.size} pixels, pictures: {world.counts}", flush=True)
        return print_parts(PARTS[part](world) for part in arguments.parts)


if __name__ == "__main__":
    raise SystemExit(main())
