"""How long the jobs of an earlier run of the same model on the same data took."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from platforms import Settings
from tasks.costs.ledger import PLAN, LedgerEntry, ledger_of
from tasks.dataset.source import same_source
from tasks.parameters.run import Parameters
from tasks.plan.requests import RunChoices
from tasks.runs.record import RUN_FILE

_MODEL = ("architecture", "trainable", "image_size")


class Rehearsal(BaseModel):
    """What an earlier run measured.

    Attributes:
        run: its name.
        trial_seconds: mean of its completed trials, brought to this run's epochs; None: no trial.
        training_seconds: its training job.
        machine: what it ran on: an instance type, or "this machine".
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str
    trial_seconds: int | None
    training_seconds: int
    machine: str


def find_rehearsal(settings: Settings, choices: RunChoices, besides: str) -> Rehearsal | None:
    """Return the newest comparable run, None when there is none.

    Comparable: the same architecture, trained layers, image size and data folder. A run on the
    same instances at AWS is preferred to one on this machine, whose speed is another.

    Args:
        besides: the name of the run that asks.
    """
    same: list[tuple[bool, str, Rehearsal]] = []
    for found in _records(settings.runs):
        rehearsal = _comparable(found, choices) if found.get("name") != besides else None
        if rehearsal is not None:
            same.append((_on_aws(found), str(found.get("started")), rehearsal))
    return max(same, key=lambda each: each[:2])[2] if same else None


def _records(runs: Path) -> Iterator[dict[str, Any]]:
    for path in runs.glob(f"*/{RUN_FILE}"):
        if path.parent.is_symlink():  # latest
            continue
        try:
            found = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError):  # somebody else's folder is no reason to fail
            continue
        if isinstance(found, dict):
            yield found


def _on_aws(found: Mapping[str, Any]) -> bool:
    return bool(found.get(PLAN, {}).get("bills"))


def _comparable(found: Mapping[str, Any], choices: RunChoices) -> Rehearsal | None:
    completed = [each for each in ledger_of(found) if each.status == "Completed"]
    (*_, training) = [None, *(each for each in completed if each.stage == "train")]
    if training is None or not _same(found, choices, training):
        return None
    return Rehearsal(
        run=found["name"],
        trial_seconds=_trial_seconds(found, choices, completed),
        training_seconds=training.billable_seconds,
        machine=training.instance_type if _on_aws(found) else "this machine",
    )


def _same(found: Mapping[str, Any], choices: RunChoices, training: LedgerEntry) -> bool:
    model, data = _given(found, "model", choices.model), _given(found, "data", choices.data)
    wanted = choices.model.model_dump()
    instances = (choices.resources.instance_type, choices.resources.instance_count)
    return (
        all(model[name] == wanted[name] for name in _MODEL)
        and same_source(data["path"], choices.data.path)
        # What ran here says something about every instance, what ran there about its own only.
        and (not _on_aws(found) or instances == (training.instance_type, training.instance_count))
    )


def _given(found: Mapping[str, Any], group: str, like: Parameters) -> dict[str, Any]:
    """Return a group of a run's parameters, with the defaults that it did not have to say."""
    defaults = type(like)().model_dump(mode="json")
    return {**defaults, **((found.get("parameters") or {}).get(group) or {})}


def _trial_seconds(
    found: Mapping[str, Any], choices: RunChoices, completed: list[LedgerEntry]
) -> int | None:
    trials = [each.billable_seconds for each in completed if each.stage == "tune"]
    if not trials or choices.tuning is None:
        return None
    before = int(_given(found, "tuning", choices.tuning)["max_epochs"])
    return math.ceil(sum(trials) / len(trials) * choices.tuning.max_epochs / before)
