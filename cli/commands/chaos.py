"""``whippet chaos``: kill everything, once, in front of you."""

from __future__ import annotations

import argparse
import random
import signal
from pathlib import Path

from platforms.errors import ParameterError

HELP = (
    "make a real run on the sample, kill its worker, engine, job, model server and Prefect server "
    "at random moments, and show that it ends right"
)
_MOST_KILLS = 12


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--seed", type=int, help="the same kills again (default: a new one)")
    parser.add_argument(
        "--kills", type=int, default=5, metavar="N", help="how many processes are killed (5)"
    )
    parser.add_argument(
        "--seconds", type=float, default=420, help="the harmed run may take so long (420)"
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="other data than the sample")
    parser.add_argument("--page", type=Path, metavar="FILE", help="where to write the page")
    parser.add_argument(
        "--keep", action="store_true", help="keep the home of the runs, to look into it"
    )


def command(arguments: argparse.Namespace) -> int:
    """Run once unharmed and once harmed, compare both, print what happened; 1 if it ends wrong."""
    import shutil
    from datetime import UTC, datetime

    from cli.chaos.conduct import PAGE, Choice, conduct
    from platforms import Settings
    from platforms.processes.interrupts import NotedInterrupts
    from platforms.settings import PROJECT_ROOT

    if not 1 <= arguments.kills <= _MOST_KILLS:
        raise ParameterError(f"--kills must be 1 to {_MOST_KILLS}, not {arguments.kills}")
    if not arguments.seconds > 0:
        raise ParameterError(f"--seconds must be more than 0, not {arguments.seconds:g}")
    seed = random.SystemRandom().randrange(10_000) if arguments.seed is None else arguments.seed
    name = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-seed-{seed}"
    choice = Choice(
        folder=Settings().home.resolve() / "chaos" / name,
        data=(arguments.data or PROJECT_ROOT / "samples" / "clipart").resolve(),
        seed=seed,
        kills=arguments.kills,
        seconds=arguments.seconds,
        keep=arguments.keep,
    )
    with NotedInterrupts(signal.SIGTERM):
        story = conduct(choice, lambda line: print(line, flush=True))
    for check in story.checks:
        print(f"{'yes' if check.holds else 'NO ':3}  {check.question}: {check.found}")
    page = choice.folder / PAGE
    if arguments.page is not None:
        page = Path(shutil.copyfile(page, arguments.page))
    print(f"page: {page}")
    return 0 if story.right else 1
