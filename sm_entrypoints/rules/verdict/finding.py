"""A candidate for the verdict: a finding, its claims, and the expected gain of its change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import IntEnum, StrEnum
from typing import Any, Literal

# ``note``: nothing was found, but too little was recorded to say that all is well.
Severity = Literal["error", "warning", "ok", "note"]
Change = Mapping[str, int | float | str]


class Group(IntEnum):
    """What comes first when several things are wrong."""

    BROKEN = 0
    NOT_LEARNING = 1
    DATA = 2
    MEMORY = 3
    TIME = 4
    QUALITY = 5
    OTHER = 6
    NOTE = 7


class Claim(StrEnum):
    """What a sentence says of a job beyond the numbers in it; ``verdict_claims`` has the proof.

    A finding whose claims do not hold is never reported.
    """

    LEARNS = "the model is better than guessing, and its loss fell"
    LOSS_FALLS = "the training loss fell"
    LEARNS_NOTHING = "the training loss stayed where guessing is"
    GUESSES = "new pictures are only guessed"
    BY_HEART = "the training images are distinguished, new ones are not"
    EXPLODED = "the numbers broke, or the loss rose beyond all bounds"
    OVER_FITS = "training images are recognised, and better than others"
    STOPPED = "it was stopped before its end"
    CUT_SHORT = "the validation loss still fell in the last epoch"
    NOTHING_FOUND = "no rule triggered, ours or SageMaker's"
    NOTHING_TO_CHANGE = "it trained, nothing broke, and it does not guess"
    COMPUTES = "most of the steps' time is the network's own"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """What a change should bring. ``factor``: how many times as fast the whole job.

    ``seconds``: what this very job would have taken less. None where nothing is known.
    """

    kind: Literal["speed", "quality", "none"] = "none"
    factor: float | None = None
    seconds: float | None = None
    reasoning: str = ""


WORKING_MODEL = Gain(kind="quality", reasoning="a model that works is worth any time")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that holds the training back.

    ``change`` holds hyperparameters of train.py, ready to be passed; ``worth`` ranks findings of
    one group (in TIME: seconds of this job at most). ``claims`` must hold for it to be reported.
    """

    group: Group
    severity: Severity = "warning"
    sentence: str
    rule: str | None = None
    evidence: tuple[str, ...]
    advice: str
    change: Change | None = None
    gain: Gain = field(default_factory=Gain)
    worth: float = 0.0
    claims: frozenset[Claim] = frozenset()

    def document(self) -> dict[str, Any]:
        """Return the members of ``verdict.json`` but ``others``."""
        return {
            "sentence": self.sentence,
            "severity": self.severity,
            "rule": self.rule,
            "evidence": list(self.evidence),
            "change": None if self.change is None else dict(self.change),
            "advice": self.advice,
            "expected_gain": asdict(self.gain),
        }


def percent(share: float) -> str:
    """Return a share (0 to 1) as people read it."""
    return f"{100 * share:.0f}%"


def duration(seconds: float) -> str:
    """Return seconds as people read them."""
    if seconds < 0.01:
        return f"{1e3 * seconds:.1f} ms"
    if seconds < 1:
        return f"{1e3 * seconds:.0f} ms"
    if seconds < 100:
        return f"{seconds:.1f} s"
    if seconds < 1_000:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6_000 else f"{seconds / 3600:.1f} h"


def rounded(value: float) -> float:
    """Return a hyperparameter with two significant digits."""
    return float(f"{value:.2g}")
