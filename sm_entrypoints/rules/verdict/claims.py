"""What must be true of a job before a sentence may claim it: one condition per claim.

Many modules write sentences, and each sees a part of the evidence. To keep any of them from saying
what another part refutes, every finding names its claims, and is dropped if one of them fails.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from sm_entrypoints.contract import TEST_CHANNEL, TRAIN_CHANNEL, VALID_CHANNEL
from sm_entrypoints.rules.verdict.case import Case
from sm_entrypoints.rules.verdict.finding import Claim, Finding

# A loss this many times that of its begin, or of guessing among a thousand classes, has exploded.
_FAR_TIMES = 10.0
_MANY_CLASSES = 1000
_FALLS = 0.98
# Below this share of the steps' time, computing is not what the time goes into.
_MOST = 0.6
# With fewer training steps nothing is said about a training but what broke.
FEWEST_STEPS = 10


def holds(case: Case, finding: Finding) -> bool:
    """Return whether all claims of a finding are true of the job."""
    return all(CONDITIONS[claim](case) for claim in finding.claims)


def exploded(case: Case) -> bool:
    """Whether the numbers broke, according to the job, a rule or the losses."""
    if case.issue("ExplodingTensor") or case.evidence.job.get("stopped") == "diverged":
        return True
    losses = [loss for _, loss in case.train_losses]
    if not losses:
        return False
    usual = math.log(max(case.classes, 2) if case.classes else _MANY_CLASSES)
    # Of a loss of another kind nothing is known but where it began.
    if len(losses) > 1 or not case.classes:
        usual = max(losses[0], usual)
    # A comparison with NaN is False.
    return not losses[-1] <= _FAR_TIMES * usual


def loss_falls(case: Case) -> bool:
    """Whether the training loss is clearly lower at the end than at the beginning."""
    losses = [loss for _, loss in case.train_losses]
    if len(losses) < 2 or exploded(case):
        return False
    # Single steps are noisy: a tenth of them at either end.
    part = max(1, len(losses) // 10)
    first, last = math.fsum(losses[:part]), math.fsum(losses[-part:])
    return last < _FALLS * first if first > 0 else False


def learns(case: Case) -> bool:
    """Whether the model is better than guessing on pictures that it was not trained with."""
    fell = case.results.get("LossNotDecreasing")
    stuck = fell is not None and fell.status == "IssuesFound"
    return loss_falls(case) and not stuck and case.learned_for_others is True


def may_guess(case: Case) -> bool:
    """Whether other pictures show nothing better than guessing, but are too few to prove it."""
    splits = (VALID_CHANNEL, TEST_CHANNEL)
    asked = [(r[0], g) for each in splits if (r := case.right(each)) and (g := case.guess(each))]
    unknown = case.learned_for_others is None
    return unknown and bool(asked) and all(right <= guess for right, guess in asked)


def _by_heart(case: Case) -> bool:
    return case.beats_guessing(TRAIN_CHANNEL) is True and case.learned_for_others is not True


def _over_fits(case: Case) -> bool:
    trained, validated = case.right(TRAIN_CHANNEL), case.right(VALID_CHANNEL)
    better = trained is not None and validated is not None and trained[0] > validated[0]
    return better and case.beats_guessing(TRAIN_CHANNEL) is True


def _stopped(case: Case) -> bool:
    return case.evidence.job.get("stopped") in ("sigterm", "rule", "early_stopping", "diverged")


def _cut_short(case: Case) -> bool:
    losses = case.values(VALID_CHANNEL, "loss")
    return len(losses) > 1 and losses[-1] < losses[-2]


def _computes(case: Case) -> bool:
    phases = case.phases["TRAIN"]
    own = phases["forward"] + phases["backward"] + phases["optimizer"]
    return case.train_seconds > 0 and own >= _MOST * case.train_seconds


def _nothing_to_change(case: Case) -> bool:
    refuted = case.learned_for_others is False or may_guess(case) or _stopped_from_outside(case)
    return (loss_falls(case) or _computes(case)) and not exploded(case) and not refuted


def _stopped_from_outside(case: Case) -> bool:
    return case.evidence.job.get("stopped") in ("sigterm", "rule", "diverged")


CONDITIONS: Mapping[Claim, Callable[[Case], bool]] = {
    Claim.LEARNS: learns,
    Claim.LOSS_FALLS: loss_falls,
    Claim.LEARNS_NOTHING: lambda case: case.learned is False and not case.knows_something,
    Claim.GUESSES: lambda case: case.learned_for_others is False,
    Claim.BY_HEART: _by_heart,
    Claim.EXPLODED: exploded,
    Claim.OVER_FITS: _over_fits,
    Claim.STOPPED: _stopped,
    Claim.CUT_SHORT: _cut_short,
    Claim.NOTHING_FOUND: lambda case: not case.triggered,
    Claim.NOTHING_TO_CHANGE: _nothing_to_change,
    Claim.COMPUTES: _computes,
}
