"""Kill jobs at every file that they leave, go on, and compare them with jobs that nobody killed.

The real programs on real pictures and a real network, so this is a program of the job's
environment: ``.venv-job/bin/python -m tests.faults.job_kills``. Its last line is its rows.

Every second job goes on in its own tree, as after a spot interruption; the others as the next
attempt: another job, which has no more than the checkpoints of the first.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from sm_entrypoints.contract.kill_points import VARIABLE, killed, order_kill, points
from sm_entrypoints.features import keeper
from sm_entrypoints.job.processes import StopReason, StopRequest
from tests.faults.job_cases import CASES, Case
from tests.faults.table import Row
from tests.sm_entrypoints.pictures import job_variables, make_channels
from tests.sm_entrypoints.searching.world import write_weights

_AT_A_TIME = 2
# Planted in the job's environment: it must get nowhere.
_SECRET = {"AWS_SECRET_ACCESS_KEY": "canary-5up3rs3cr3t"}
_STEP = "asked to stop after step"


@dataclass(frozen=True, kw_only=True)
class Moment:
    """Where to kill: a point, and which time the job is there; or after which step to ask."""

    point: str
    time: int


# The best head is there, but not its generation; a file is half written; a step in mid-epoch.
FEW = (
    ("packed search", Moment(point="wrote best.safetensors", time=2)),
    ("packed search", Moment(point="write search-job/….json", time=3)),
    ("head", Moment(point=_STEP, time=2)),
    ("fine-tune", Moment(point=_STEP, time=5)),
)


def main() -> int:
    """Kill at every moment, with ``--few`` at some; print what did not hold, and the rows."""
    torch.set_num_threads(1)
    keeper._SHARD_SECONDS = 0.0  # A file for each batch, so that there is a kill between two.
    root = Path(tempfile.mkdtemp(prefix="whippet-job-kills-"))
    try:
        channels = _channels(root)
        few, named = "--few" in sys.argv, [each for each in CASES if each.name in sys.argv]
        chosen = [each for each in named or CASES if not few or each.name in dict(FEW)]
        rows = [_kills(case, root / case.name, channels, few=few) for case in chosen]
    finally:
        shutil.rmtree(root, ignore_errors=True)
    print(json.dumps([asdict(row) for row in rows]))
    return 1 if any(row.violations for row in rows) else 0


def _kills(case: Case, root: Path, channels: dict[str, Path], *, few: bool) -> Row:
    began = time.monotonic()
    root.mkdir()
    world = _World(case=case, root=root, channels=channels)
    moments = world.moments()
    if few:
        moments = [each for each in moments if (case.name, each) in FEW]
    with multiprocessing.get_context("fork").Pool(_AT_A_TIME) as pool:
        problems = pool.starmap(world.kill, enumerate(moments), chunksize=1)
    for moment, found in zip(moments, problems, strict=True):
        for problem in found:
            print(f"{case.name}: {moment.point}, {moment.time}: {problem}", flush=True)
    return Row(
        part=f"kills: {case.name}",
        boundaries=len(moments),
        schedules=len(moments),
        violations=sum(map(bool, problems)),
        seconds=time.monotonic() - began,
    )


@dataclass(frozen=True, kw_only=True)
class _World:
    """The jobs of one case, each in a folder of its own."""

    case: Case
    root: Path
    channels: dict[str, Path]

    def moments(self) -> list[Moment]:
        """Run the job once, and list what there is to kill at."""
        code = self._forked(self.root / "whole", "job", moments=self.root / "seen")
        assert code == 0, (self.root / "whole.txt").read_text("utf-8")
        found = points(self.root / "seen").items()
        places = [Moment(point=point, time=n + 1) for (_, point), at in found for n in range(at)]
        return places + [Moment(point=_STEP, time=n + 1) for n in range(self.case.steps)]

    def kill(self, number: int, moment: Moment) -> list[str]:
        """Kill one job, go on with it, and return what does not hold."""
        folder, orders, job = self.root / f"killed-{number}", self.root / f"orders-{number}", "job"
        if moment.point == _STEP:
            self._forked(folder, job, stop_after=moment.time)
        else:
            order_kill(orders, point=moment.point, count=moment.time)
            self._forked(folder, job, moments=orders)
            if not killed(orders):
                return ["it was not reached"]
        kept = self.case.kept(folder / "checkpoints")
        if number % 2:
            (self.root / f"next-{number}").mkdir()
            shutil.move(folder / "checkpoints", self.root / f"next-{number}/checkpoints")
            folder, job = self.root / f"next-{number}", "job-2"
        log = folder.with_suffix(".txt")
        log.unlink(missing_ok=True)
        code, printed = self._forked(folder, job), log.read_text("utf-8")
        if code != 0:
            return [f"I5 {job} ended with {code}: {printed[-400:]}"]
        try:
            expected, found = (self.case.found(each) for each in (self.root / "whole", folder))
        except Exception:  # noqa: BLE001 - whatever is wrong with a job is the finding
            return [traceback.format_exc(limit=3)]
        different = [name for name, value in expected.items() if found[name] != value]
        return [
            *(f"I3 {name}: other than in a job that nobody killed" for name in different),
            *self.case.lost(folder, printed, kept),
            *_broken(folder),
        ]

    def _forked(
        self, folder: Path, job: str, *, moments: Path | None = None, stop_after: int = 0
    ) -> int:
        """Run the job in a process of its own; return its exit code, negative for a signal."""
        variables = {**job_variables(folder, self.channels), "TRAINING_JOB_NAME": job}

        def act() -> int:
            os.environ.update(_SECRET if moments is None else {**_SECRET, VARIABLE: str(moments)})
            if stop_after:
                _ask_after(stop_after)
            return self.case.act(variables, job)

        pid = os.fork()
        if pid == 0:
            _be_child(act, folder.with_suffix(".txt"))
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _ask_after(steps: int) -> None:
    """Send this process SIGTERM when it looks for it after so many steps."""
    looks, look = [0], StopRequest.reason

    def looked(self: StopRequest, *, rule: bool) -> StopReason | None:
        looks[0] += 1
        if looks[0] == steps:
            os.kill(os.getpid(), signal.SIGTERM)
        return look(self, rule=rule)

    StopRequest.reason = looked  # type: ignore[method-assign]


def _be_child(act: Callable[[], int], log: Path) -> None:
    code = 1
    try:
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(out, 1)
        os.dup2(out, 2)
        code = act()
    finally:
        sys.stdout.flush()
        os._exit(code)


def _channels(root: Path) -> dict[str, Path]:
    weights = write_weights(root / "weights", "mobilenet_v2", image_size=32)
    return {**make_channels(root, train=7, valid=5, test=3), "weights": weights}


def _broken(folder: Path) -> list[str]:
    """Return files that are half written or left over, and those that hold the secret."""
    problems, canary = [], next(iter(_SECRET.values())).encode()
    for path in (each for each in folder.rglob("*") if each.is_file()):
        if path.name.startswith("."):
            problems.append(f"I4 {path.name}: left over")
        try:
            if path.suffix == ".json":
                json.loads(path.read_text("utf-8"))
            if path.suffix == ".safetensors":
                with safe_open(path, framework="pt") as opened:
                    opened.keys()
        except (ValueError, SafetensorError) as error:
            problems.append(f"I4 {path}: {error}")
        if canary in path.read_bytes():
            problems.append(f"I6 {path}")
    return problems


if __name__ == "__main__":
    sys.exit(main())
