"""How far a search has come, kept where a killed job finds it again.

A generation is one file, written when all its trials have ended; the best head is written before
it. A kill between the two costs nothing: the same generation ends with the same best head.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from sm_entrypoints.contract import HYPERPARAMETERS, TRIALS_FILE
from sm_entrypoints.contract.files import write_json
from sm_entrypoints.contract.sentences import clause
from sm_entrypoints.models.model import save_tensors
from sm_entrypoints.searching.request import SearchRequest
from sm_entrypoints.searching.trial import Trial

SCHEMA_VERSION = 1
_BEST_FILE = "best.safetensors"

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The best head so far, and the trial that it is of."""

    trial: int
    epoch: int
    loss: float
    head: Mapping[str, Tensor]


def better(best: Best | None, trial: Trial) -> Best | None:
    """Return the better one of ``best`` and a trial; of equals the one that was drawn first."""
    if trial.head is None or trial.best_loss is None:
        return best
    if best and (best.loss, best.trial) <= (trial.best_loss, trial.number):
        return best
    return Best(trial=trial.number, epoch=trial.best_epoch, loss=trial.best_loss, head=trial.head)


def identity(request: SearchRequest, *, frozen: str, data: str) -> str:
    """Return a digest of all that decides the numbers of a search, in whichever attempt.

    Args:
        request: what was asked for.
        frozen: digest of the tensors that do not learn.
        data: digest of the splits.
    """
    document = {
        "schema": SCHEMA_VERSION,
        "plan": replace(request.plan, continues=()).to_json(),
        "fixed": {
            name: value
            for name, value in asdict(request.fixed).items()
            if not HYPERPARAMETERS[name].same_numbers
        },
        "frozen": frozen,
        "data": data,
    }
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


class Progress:
    """The generations of a search in a folder, or nowhere if there is none.

    A file that is damaged, or of another search, is told and ignored: it only costs time.
    ``job`` is what trials are named after in the table for those who watch.
    """

    def __init__(self, folder: Path | None, identity: str, *, job: str, tell: Tell) -> None:
        self._folder = folder
        self._identity = identity
        self._job = job
        self._tell = tell

    def load(self, request: SearchRequest) -> tuple[list[list[Trial]], Best | None]:
        """Return the generations that have ended, and the best head of them."""
        generations: list[list[Trial]] = []
        best = self._best()
        while best and (trials := self._generation(len(generations), request)):
            generations.append(trials)
        return generations, best if generations else None

    def save(self, generation: int, trials: Sequence[Trial], best: Best | None) -> None:
        """Keep a generation; where that cannot be, the search goes on without."""
        if self._folder is None:
            return
        document = {
            "identity": self._identity,
            "trials": [trial.document() for trial in trials],
        }
        try:
            self._folder.mkdir(exist_ok=True)
            if best is not None:
                about = {"trial": best.trial, "epoch": best.epoch, "loss": best.loss}
                metadata = {"identity": self._identity, "about": json.dumps(about)}
                save_tensors(self._folder / _BEST_FILE, best.head, metadata)
            write_json(self._file(generation), document, indent=None)
        except (OSError, SafetensorError) as error:
            self._tell(f"the search's progress cannot be kept: {clause(error)}")
            self._folder = None

    def show(self, trials: Sequence[Trial]) -> None:
        """Write the table of all trials so far, for those who watch; nothing is made of it here."""
        if self._folder is None:
            return
        table = [trial.summary(self._job) for trial in trials]
        try:
            write_json(self._folder / TRIALS_FILE, table, indent=None)
        except OSError as error:
            self._tell(f"the trials so far cannot be shown: {clause(error)}")

    def _file(self, generation: int) -> Path:
        return (self._folder or Path()) / f"generation-{generation + 1:04d}.json"

    def _generation(self, generation: int, request: SearchRequest) -> list[Trial] | None:
        file = self._file(generation)
        try:
            document = json.loads(file.read_text(encoding="utf-8"))
            if document["identity"] != self._identity:
                raise ValueError("it is of another search")
            return [Trial.of(each, request.arguments(each["texts"])) for each in document["trials"]]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            self._tell(f"{file.name} is ignored, since it cannot be read: {clause(error)}")
            return None

    def _best(self) -> Best | None:
        file = (self._folder or Path()) / _BEST_FILE
        if self._folder is None or not file.is_file():
            return None
        try:
            with safe_open(file, framework="pt") as opened:
                metadata = opened.metadata() or {}
                if metadata["identity"] != self._identity:
                    raise ValueError("it is of another search")
                about = json.loads(metadata["about"])
                head = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
                return Best(head=head, **about)
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
            self._tell(f"{file.name} is ignored, since it cannot be read: {clause(error)}")
            return None
