"""The model in service that a new one would stand beside, and its answers to the test pictures."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from platforms import Platform
from platforms.errors import ParameterError, some
from sm_entrypoints.contract.sentences import joined
from tasks.approval.comparison import Compared, compare
from tasks.endpoints.inventory import list_endpoints
from tasks.endpoints.predictions import label_of
from tasks.runs.approval_parts import Comparison
from tasks.runs.names import RunIdentity
from tasks.runs.record import PREDICTIONS_FILE, read_run, run_folder
from tasks.runs.record_model import RunRecord
from tasks.runs.record_parts import TrainedModel

_ANSWERS = ("InService", "Updating", "SystemUpdating")
# More would hardly tell more, and each is a request.
MOST_PICTURES = 2000
_AT_A_TIME = 4


class Answered(NamedTuple):
    """A test picture, its true label, and what the two models say; None for no model in service."""

    path: str
    label: str
    new: str
    probability: float
    old: str | None = None


class InService(NamedTuple):
    """An endpoint that answers, and the run whose model it has.

    ``same_pictures``: it was tested on the very files, and with the same split, as the new one.
    """

    endpoint: str
    record: RunRecord
    same_pictures: bool

    @property
    def note(self) -> str:
        """What makes the comparison less than fair, if anything does."""
        if self.same_pictures:
            return ""
        return "The model in service may have learned from some of these pictures: it is favoured"


def model_in_service(
    platform: Platform, run: RunIdentity, trained: TrainedModel
) -> InService | None:
    """Return the newest endpoint of another run over the same data set, if its record is here."""
    new = read_run(platform.settings, run.name)
    for state in list_endpoints(platform):
        if state.status not in _ANSWERS or state.run == run.name:
            continue
        try:
            found = read_run(platform.settings, state.run)
        except (FileNotFoundError, ParameterError):  # made elsewhere, or its folder was deleted
            continue
        # The place of the test pictures has the data set's name in it.
        if found.training is not None and found.training.test_uri == trained.test_uri:
            return InService(state.name, found, _same_pictures(found, new))
    return None


def _same_pictures(old: RunRecord, new: RunRecord) -> bool:
    known = old.data.fingerprint is not None and old.data.fingerprint == new.data.fingerprint
    return known and old.seeds.get("split") == new.seeds.get("split")


def answered(platform: Platform, run: RunIdentity) -> list[Answered]:
    """Return the test pictures of a finished training job with its model's answers."""
    return [
        Answered(row["path"], row["label"], row["predicted"], float(row["probability"]))
        for row in _predictions(platform, run.name)
    ]


def with_old_answers(
    platform: Platform, found: InService, trained: TrainedModel, pictures: list[Answered]
) -> list[Answered]:
    """Return pictures with the answers of the model in service.

    What it said of the same files when it was trained is taken from its run; its endpoint is asked
    about the others. Of more than ``MOST_PICTURES``, as many are taken, spread over all.

    Raises:
        EndpointFailed, ClientError: it does not answer.
    """
    pictures = pictures[:: max(1, -(-len(pictures) // MOST_PICTURES))]
    before = _predictions(platform, found.record.name) if found.same_pictures else ()
    known = {row["path"]: row["predicted"] for row in before}

    def old(picture: Answered) -> str:
        said = known.get(picture.path)
        return said or label_of(platform, found.endpoint, trained, picture.path)

    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        labels = pool.map(old, pictures)
        return [each._replace(old=label) for each, label in zip(pictures, labels, strict=True)]


def compared(
    found: InService, trained: TrainedModel, pictures: list[Answered], margin: float
) -> Comparison:
    """Return the comparison of the answers; a label that the old model lacks is its mistake."""
    lacking = {each.label for each in pictures} - {each.old for each in pictures}
    never = f"It never says {some(sorted(lacking))}" if lacking else ""
    return compare(
        Compared(trained.job, found.endpoint, found.record.name),
        ((each.new == each.label, each.old == each.label) for each in pictures),
        margin,
        joined(found.note, never),
    )


def _predictions(platform: Platform, run: str) -> Iterator[dict[str, str]]:
    path = run_folder(platform.settings, run) / PREDICTIONS_FILE
    if path.is_file():
        yield from csv.DictReader(io.StringIO(path.read_text("utf-8")))
