"""Which flow run improves which run, by which job: what a cancel finds its job by."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from platforms import Settings
from platforms.files import read_json, write_json
from platforms.processes.process import ProcessId, alive, identify
from tasks.runs.names import RunIdentity


@dataclass(frozen=True, slots=True, kw_only=True)
class Improving:
    """A flow run that improves ``run``.

    Attributes:
        job: the name of its comparison job, of a first attempt; None in records of before.
        follower: the process that waits for it.
    """

    flow_run_id: str
    run: RunIdentity
    job: str | None
    follower: ProcessId | None

    def owns(self, name: str) -> bool:
        """Say whether a comparison job of the run is this one's, whatever the attempt."""
        if self.job is None:
            return True
        attempt = name.removeprefix(f"{self.job}-")
        return name == self.job or (attempt != name and attempt.isdecimal())


def note_improvement(settings: Settings, flow_run_id: str, run: RunIdentity, job: str) -> None:
    """Write down which run a flow run improves by which job, before it starts that."""
    follower = identify(os.getpid()).to_record()
    write_json(_pointer(settings, flow_run_id), {**asdict(run), "job": job, "follower": follower})


def find_improvement(settings: Settings, flow_run_id: str) -> Improving | None:
    """Return what a flow run improves, None when it improves nothing."""
    pointer = _pointer(settings, flow_run_id)
    return _read(pointer) if pointer.exists() else None


def followed_by_others(settings: Settings, improving: Improving) -> bool:
    """Say whether another live process waits for the same job: one question, asked twice."""
    return any(
        each.flow_run_id != improving.flow_run_id
        and each.run.token == improving.run.token
        and each.job == improving.job
        and each.follower is not None
        and alive(each.follower)
        for each in _every(settings)
    )


def improvements_of(settings: Settings, run: RunIdentity) -> list[Improving]:
    """Return all that were ever begun for a run and not forgotten."""
    return [each for each in _every(settings) if each.run.token == run.token]


def forget_improvement(settings: Settings, flow_run_id: str) -> None:
    """Remove what :func:`note_improvement` wrote: nothing of the improvement is left."""
    _pointer(settings, flow_run_id).unlink(missing_ok=True)


def _every(settings: Settings) -> Iterator[Improving]:
    for path in sorted(_folder(settings).glob("*.json")):
        try:
            yield _read(path)
        except FileNotFoundError:  # Forgotten since the listing.
            continue


def _read(path: Path) -> Improving:
    values = read_json(path)
    names = ("name", "token", "flow_run_id")
    follower = values.get("follower")
    return Improving(
        flow_run_id=path.stem,
        run=RunIdentity(**{each: values[each] for each in names}),
        job=values.get("job"),
        follower=None if follower is None else ProcessId.from_record(follower),
    )


def _pointer(settings: Settings, flow_run_id: str) -> Path:
    return _folder(settings) / f"{flow_run_id}.json"


def _folder(settings: Settings) -> Path:
    return settings.runs / ".improved-by-flow-run"
