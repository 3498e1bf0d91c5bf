"""One chaos run from the empty home to its page."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cli.chaos.kills import ChaosError, choose, moments
from cli.chaos.stage import LANES, Stage
from cli.chaos.world import World
from dashboards.chaos_page import Check, Story, write_chaos_page
from platforms import connect

UNHARMED, HARMED = "unharmed", "harmed"
PAGE = "chaos.html"
# Seconds on a quiet machine; everything that a whole run has.
SMALL = (
    *("--model", "mobilenet_v2", "--image-size", "64", "--max-jobs", "4", "--max-epochs", "2"),
    *("--seed", "3"),
)
# What would lead a child to somebody else's server.
_NOT_OURS = ("PREFECT_API_URL", "PREFECT_API_AUTH_STRING", "PREFECT_HOME", "PREFECT_PROFILE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What is asked for; ``seconds`` bound the harmed run alone."""

    folder: Path
    data: Path
    seed: int
    kills: int
    seconds: float
    keep: bool


def conduct(choice: Choice, say: Callable[[str], None]) -> Story:
    """Run once unharmed and once harmed, compare, clean up, and write the page.

    Everything is in a home of its own, which goes afterwards unless it is to be kept. When this is
    interrupted or fails, all that it started ends, too.

    Raises:
        ChaosError: the unharmed run did not work, or the harmed one failed again and again.
    """
    world, began = World(folder=choice.folder), datetime.now(UTC)
    world.home.mkdir(parents=True)
    _use_own_server(world)
    try:
        unharmed_seconds = _unharmed(world, choice, say)
        stage = _harmed(world, choice, say)
        checks = _verdict(world, stage, choice)
    finally:
        left = _end(world, say)
    story = Story(
        seed=choice.seed,
        began=began,
        seconds=stage.now_at_end,
        unharmed_seconds=unharmed_seconds,
        lanes=LANES,
        spans=stage.spans,
        events=sorted(stage.events, key=lambda event: event.at),
        checks=[*checks, *left],
        settings=f"{choice.data.name}, {' '.join(SMALL)}",
    )
    write_chaos_page(choice.folder / PAGE, story)
    if not choice.keep:
        shutil.rmtree(world.home, ignore_errors=True)
    return story


def _use_own_server(world: World) -> None:
    from cli.server.choosing import use_server

    for name in _NOT_OURS:
        os.environ.pop(name, None)
    os.environ["WHIPPET_HOME"], os.environ["WHIPPET_PLATFORM"] = str(world.home), "local"
    use_server(world.settings)


def _unharmed(world: World, choice: Choice, say: Callable[[str], None]) -> float:
    """Run without a kill, deploy meanwhile; return the seconds of the run."""
    say("a run that nobody harms shows what there is to kill, and what is right …")
    began, seen = time.monotonic(), choice.folder / "unharmed-moments"
    command = ("run", "--data", str(choice.data), *SMALL, "--name", UNHARMED)
    run = world.start(*command, moments=seen)
    try:
        world.deploy()
    finally:
        code = run.wait()
    if code != 0:
        raise ChaosError(f"the unharmed run did not work: see {world.log_of('run')}")
    seconds = time.monotonic() - began
    _finish(world.start("clean-up", "--all", "--yes"))
    return seconds


def _harmed(world: World, choice: Choice, say: Callable[[str], None]) -> Stage:
    from tasks.runs.record import read_run

    seen, _ = moments(choice.folder / "unharmed-moments")
    kills = choose(seen, choice.seed, choice.kills)
    say(f"the kills of seed {choice.seed}:")
    for kill in kills:
        say(f"  {kill}")
    world.start_worker()
    stage = Stage(world=world, kills=kills, say=say)
    stage.arm()
    stage.run(dict(read_run(world.settings, UNHARMED).parameters), seconds=choice.seconds)
    return stage


def _verdict(world: World, stage: Stage, choice: Choice) -> list[Check]:
    from cli.chaos.verdict import all_killed, jobs_of, no_doubled_job, same_answer

    platform = connect(world.settings)
    state = Check(
        question=f"the run ends within {choice.seconds:.0f} s",
        found=f"{stage.state or 'no state'} after {stage.now_at_end:.0f} s",
        holds=stage.state == "COMPLETED",
    )
    jobs = [jobs_of(platform, world, name) for name in (UNHARMED, HARMED)]
    return [
        state,
        all_killed(stage.events, choice.kills),
        *same_answer(world, UNHARMED, HARMED),
        no_doubled_job(*jobs),
    ]


def _end(world: World, say: Callable[[str], None]) -> list[Check]:
    """Clean up as people do, and look for what is left."""
    from cli.chaos.verdict import no_process_left, nothing_bills

    say("cleaning up …")
    world.end_worker()
    _finish(world.start("clean-up", "--all", "--yes"))
    bills = nothing_bills(connect(world.settings))
    _finish(world.start("down"))
    return [bills, no_process_left(world)]


def _finish(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(120)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
