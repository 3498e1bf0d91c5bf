"""How long the jobs of an earlier run of the same model on the same data took."""

from __future__ import annotations

import math

from pydantic import BaseModel, ConfigDict

from platforms import Settings
from tasks.dataset.source import same_source
from tasks.parameters.run import Parameters
from tasks.plan.requests import RunChoices
from tasks.runs.record import every_run
from tasks.runs.record_model import RunRecord
from tasks.runs.record_parts import Json, LedgerEntry

_MODEL = ("architecture", "trainable", "image_size")


class Rehearsal(BaseModel):
    """What an earlier run measured.

    Attributes:
        run: its name.
        trial_seconds: mean of its completed trials, brought to this run's epochs; None: no trial.
        search_seconds: of its packed search, whatever its epochs; None: it had none.
        training_seconds: its training job.
        fine_tuning_seconds: the job that trained all layers afterwards; None: it had none.
        machine: what it ran on: an instance type, or "this machine".
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str
    trial_seconds: int | None
    search_seconds: int | None = None
    training_seconds: int
    fine_tuning_seconds: int | None = None
    machine: str


def find_rehearsal(settings: Settings, choices: RunChoices, besides: str) -> Rehearsal | None:
    """Return the newest comparable run, None when there is none.

    Comparable: the same architecture, trained layers, image size, data folder and number of views,
    each of which is a pass over the training images. A run on the
    same instances at AWS is preferred to one on this machine, whose speed is another.

    Args:
        besides: the name of the run that asks.
    """
    same: list[tuple[bool, str, Rehearsal]] = []
    for run_record in every_run(settings):
        rehearsal = _comparable(run_record, choices) if run_record.name != besides else None
        if rehearsal is not None:
            same.append((run_record.bills, str(run_record.started), rehearsal))
    return max(same, key=lambda each: each[:2])[2] if same else None


def _comparable(run_record: RunRecord, choices: RunChoices) -> Rehearsal | None:
    completed = [each for each in run_record.ledger.values() if each.status == "Completed"]
    (*_, training) = [None, *(each for each in completed if each.stage == "train")]
    if training is None or not _same(run_record, choices, training):
        return None
    searched = [each.billable_seconds for each in completed if each.stage == "tune"]
    tuned = [each.billable_seconds for each in completed if each.stage == "finetune"]
    packed = run_record.search is not None and run_record.search.strategy == "packed"
    return Rehearsal(
        run=run_record.name,
        trial_seconds=None if packed else _trial_seconds(run_record, choices, searched),
        search_seconds=searched[-1] if packed and searched else None,
        training_seconds=training.billable_seconds,
        fine_tuning_seconds=tuned[-1] if tuned else None,
        machine=training.instance_type if run_record.bills else "this machine",
    )


def _same(run_record: RunRecord, choices: RunChoices, training: LedgerEntry) -> bool:
    model = _given(run_record, "model", choices.model)
    data = _given(run_record, "data", choices.data)
    wanted = choices.model.model_dump()
    instances = (choices.resources.instance_type, choices.resources.instance_count)
    return (
        all(model[name] == wanted[name] for name in _MODEL)
        and same_source(str(data["path"]), choices.data.path)
        and (choices.training is None or _same_views(run_record, choices.training))
        # What ran here says something about every instance, what ran there about its own only.
        and (not run_record.bills or instances == (training.instance_type, training.instance_count))
    )


def _given(run_record: RunRecord, group: str, like: Parameters) -> Json:
    """Return a group of a run's parameters, with the defaults that it did not have to say."""
    defaults = type(like)().model_dump(mode="json")
    return {**defaults, **run_record.group(group)}


def _same_views(run_record: RunRecord, training: Parameters) -> bool:
    groups = (_given(run_record, "training", training), training.model_dump(mode="json"))
    given = (group["hyperparameters"] for group in groups)
    before, now = (str(each.get("views", 0)) if isinstance(each, dict) else "0" for each in given)
    return before == now


def _trial_seconds(run_record: RunRecord, choices: RunChoices, trials: list[int]) -> int | None:
    if not trials or choices.tuning is None:
        return None
    before = _given(run_record, "tuning", choices.tuning)["max_epochs"]
    if not isinstance(before, int):
        return None
    return math.ceil(sum(trials) / len(trials) * choices.tuning.max_epochs / before)
