"""The verdict when no finding justifies a change: the evidence for it, and what was not seen."""

from __future__ import annotations

from collections.abc import Sequence

from sm_entrypoints.contract import TRAIN_CHANNEL, VALID_CHANNEL
from sm_entrypoints.contract.sentences import counted
from sm_entrypoints.rules.verdict.case import Case
from sm_entrypoints.rules.verdict.claims import CONDITIONS, FEWEST_STEPS, holds, may_guess
from sm_entrypoints.rules.verdict.finding import Claim, Finding, Gain, Group, duration, percent

_LEAVE_IT = "Leave it as it is; a search over lr may still find a better model."
_SEE_MORE = "For more, train with instrumentation=on, or save the losses of every step."
_NO_BETTER = (
    "There are too few validation and test images to tell whether the model is better than "
    "guessing; on these it is not."
)
_MORE_IMAGES = (
    "Add validation images; if the model is no better than guessing on them, train for more epochs."
)
_SEEN = {
    Claim.COMPUTES: "the time goes into the network itself",
    Claim.LEARNS: "it learns",
    Claim.LOSS_FALLS: "its training loss falls",
}


def nothing_to_change(case: Case, found: Sequence[Finding]) -> Finding:
    """Return the verdict of a job without a finding that matters; ``found`` are the small ones."""
    judged = [result for result in case.results.values() if result.status != "NotApplicable"]
    if not judged and not case.evidence.epochs and case.evidence.theirs:
        sentence = "SageMaker's own rules found nothing; ours had nothing to examine."
        return _unseen(
            sentence,
            (f"{counted(len(case.evidence.theirs), 'rule is', 'rules are')} in its report",),
        )
    if not judged and not case.evidence.epochs:
        return _unseen("No verdict: the job left no data.", ())
    lines = (
        *_time_lines(case),
        *_learning_lines(case),
        f"{counted(len(judged), 'rule was', 'rules were')} applied",
    )
    sure = Finding(
        group=Group.NOTE,
        severity="ok",
        sentence=_sentence(case, found),
        evidence=lines,
        advice=_LEAVE_IT,
        gain=_gain(case, found),
        claims=frozenset({Claim.NOTHING_TO_CHANGE, *_claims(case), *_none_found(case, found)}),
    )
    enough = case.steps_seen >= FEWEST_STEPS or len(case.values(TRAIN_CHANNEL, "loss")) > 1
    if enough and may_guess(case):
        return _unseen(_NO_BETTER, lines, _MORE_IMAGES)
    return sure if enough and holds(case, sure) else _unseen(_said_of_little(case), lines)


def _unseen(sentence: str, lines: tuple[str, ...], advice: str = _SEE_MORE) -> Finding:
    return Finding(
        group=Group.NOTE,
        severity="note",
        sentence=sentence,
        evidence=lines,
        advice=advice,
    )


def _said_of_little(case: Case) -> str:
    """Say how little there was to judge by."""
    if case.steps_seen:
        if case.steps_seen < FEWEST_STEPS:
            one, many = "training step was recorded", "training steps were recorded"
            what = counted(case.steps_seen, one, many)
            return f"Too little was recorded to judge the training: only {what}."
        return "The records do not show whether the training went well."
    if case.evidence.system:
        return "The use of the machine shows no fault; how the training went was not recorded."
    return "No verdict on the training: none of its steps was recorded."


def _claims(case: Case) -> list[Claim]:
    """Return what was seen and speaks for the job: no more than that."""
    seen = [claim for claim in _SEEN if CONDITIONS[claim](case)]
    return [claim for claim in seen if claim is not Claim.LOSS_FALLS or Claim.LEARNS not in seen]


def _sentence(case: Case, found: Sequence[Finding]) -> str:
    seen = ", and ".join(_SEEN[claim] for claim in _claims(case))
    small = any(each.group != Group.NOTE for each in found) or case.triggered
    begin = "Nothing worth a change" if small else "Nothing to change"
    names = sorted({each.rule for each in found if each.rule in case.triggered and each.rule})
    told = f" What {_listed(names)} found costs little or has done no harm so far." if names else ""
    return f"{begin}: {seen}.{told}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _none_found(case: Case, found: Sequence[Finding]) -> tuple[Claim, ...]:
    return () if case.triggered or found else (Claim.NOTHING_FOUND,)


def _gain(case: Case, found: Sequence[Finding]) -> Gain:
    if _none_found(case, found):
        return Gain(reasoning="no rule found time or quality to gain")
    return Gain(reasoning="the findings are listed below, and none is worth a change by itself")


def _time_lines(case: Case) -> tuple[str, ...]:
    if not case.train_seconds:
        return ()
    phases = case.phases["TRAIN"]
    compute = (phases["forward"] + phases["backward"] + phases["optimizer"]) / case.train_seconds
    line = f"{percent(compute)} of {duration(case.train_seconds)} in training steps is computing"
    if case.demand is not None and case.on_cpu:
        line += f", on {case.cores} cores, {percent(case.demand)} busy"
    return (line, *_features_line(case))


def _features_line(case: Case) -> tuple[str, ...]:
    first = case.evidence.job.get("features_from_epoch") or 1
    seconds = case.values(TRAIN_CHANNEL, "seconds")
    if not 1 < first <= len(seconds):
        return ()
    later = sum(seconds[first - 1 :]) / len(seconds[first - 1 :])
    return (
        f"epoch 1 ran the whole network in {duration(seconds[0])}; since epoch {first} the head "
        f"learns from its features, in {duration(later)} an epoch",
    )


def _learning_lines(case: Case) -> tuple[str, ...]:
    losses, right = case.values(TRAIN_CHANNEL, "loss"), case.right(VALID_CHANNEL)
    lines = []
    if losses:
        lines.append(f"training loss {losses[0]:.3f} in epoch 1, {losses[-1]:.3f} in the last")
    guess = case.guess(VALID_CHANNEL)
    if right is not None and guess is not None:
        lines.append(
            f"{percent(right[0])} of {right[1]} validation images are right, where guessing gives "
            f"{percent(guess)}"
        )
    return tuple(lines)
