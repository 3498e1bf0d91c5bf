"""Findings about a training's outcome, and about triggered rules that no other finding covers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from sm_entrypoints.contract import TEST_CHANNEL, TRAIN_CHANNEL, VALID_CHANNEL
from sm_entrypoints.contract.sentences import clause, counted
from sm_entrypoints.rules.catalogue import RULES_BY_NAME
from sm_entrypoints.rules.result import RuleResult
from sm_entrypoints.rules.verdict.case import Case
from sm_entrypoints.rules.verdict.claims import exploded, learns
from sm_entrypoints.rules.verdict.finding import WORKING_MODEL, Claim, Finding, Gain, Group, percent
from sm_entrypoints.rules.verdict.learning import scaled_rate

# A loss this many times that of the first step, and this much above it, is no noise.
_TWICE, _AT_LEAST = 2.0, 0.5
_MOST_MARKS = 3
# What they see slows a network down or leaves parts of it idle; one that learns can do with it. The
# last two are about epochs after the best one, whose model is delivered.
_SYMPTOMS = frozenset(
    (
        *("AllZero", "DeadRelu", "PoorWeightInitialization", "SaturatedActivation"),
        *("TensorVariance", "UnchangedTensor", "VanishingGradient", "WeightUpdateRatio"),
        *("Overfit", "Overtraining"),
    )
)
_TOLD_SPLITS = {VALID_CHANNEL: "validation", TEST_CHANNEL: "test", TRAIN_CHANNEL: "training"}


def loss_exploded(case: Case) -> Finding | None:
    """The last loss is not a number, or beyond all bounds, though no rule examined it."""
    told = case.issue("ExplodingTensor") or case.evidence.job.get("stopped") == "diverged"
    if told or not exploded(case):
        return None
    return Finding(
        group=Group.BROKEN,
        severity="error",
        sentence=f"The training diverged: its loss was {_first_and_last(case)}.",
        rule="ExplodingTensor",
        evidence=(f"{counted(len(case.train_losses), 'loss was', 'losses were')} recorded",),
        change=scaled_rate(case, 0.1),
        advice="Lower lr by a factor of ten; a few warmup_epochs help too.",
        gain=WORKING_MODEL,
        claims=frozenset({Claim.EXPLODED}),
    )


def loss_rose(case: Case) -> Finding | None:
    """The loss rose, in too few steps for LossNotDecreasing to judge."""
    judged = case.results.get("LossNotDecreasing")
    losses = [loss for _, loss in case.train_losses]
    if (judged is not None and judged.status != "NotApplicable") or len(losses) < 2:
        return None
    rise = losses[-1] - losses[0]
    if exploded(case) or losses[-1] <= _TWICE * losses[0] or rise < _AT_LEAST:
        return None
    return Finding(
        group=Group.NOT_LEARNING,
        sentence=f"The training loss rose: it was {_first_and_last(case)}.",
        rule="LossNotDecreasing",
        evidence=(f"{counted(len(losses), 'loss was', 'losses were')} recorded",),
        change=scaled_rate(case, 0.1),
        advice="Lower lr by a factor of ten, and save the losses of more steps for a clearer "
        "picture.",
        gain=WORKING_MODEL,
    )


def _first_and_last(case: Case) -> str:
    (begin, first), (end, last) = case.train_losses[0], case.train_losses[-1]
    unit = "step" if case.evidence.records else "epoch"
    if len(case.train_losses) == 1:
        return f"{_loss(last)} at {unit} {end}"
    return f"{_loss(first)} at {unit} {begin} and {_loss(last)} at {unit} {end}"


def _loss(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else "not a finite number"


def one_class_only(case: Case) -> Finding | None:
    """All training images are of one class."""
    counts = {label: count for label, count in case.evidence.class_counts.items() if count}
    if len(counts) != 1:
        return None
    label, count = next(iter(counts.items()))
    return Finding(
        group=Group.DATA,
        severity="error",
        sentence=f"There is nothing to distinguish: all {count} training images are of the class "
        f"{label}.",
        evidence=("then every answer is right, so the accuracy means nothing",),
        advice="Add images of the other classes.",
        gain=WORKING_MODEL,
        worth=2.0,
    )


def no_better_than_guessing(case: Case) -> Finding | None:
    """Pictures that the model was not trained with are guessed."""
    if case.learned_for_others is not False:
        return None
    epochs, wanted = case.epochs_run, case.arguments.get("epochs")
    more = None if wanted is None else case.set(epochs=2 * max(int(wanted), 1))
    knows_its_own = case.beats_guessing(TRAIN_CHANNEL) is True
    return Finding(
        group=Group.DATA if knows_its_own else Group.NOT_LEARNING,
        sentence=f"The model is no better than guessing after {_count(epochs, 'epoch')}: "
        f"{_rights(case)}.",
        evidence=("guessing means naming the most frequent class for every picture",),
        change=None if knows_its_own else more,
        advice="It recognises its own training images: check whether the labels of the others "
        "are right, and whether there are enough images."
        if knows_its_own
        else "Train for more epochs; if its loss does not fall even then, search for another lr.",
        gain=WORKING_MODEL,
        worth=-0.5,
        claims=frozenset({Claim.GUESSES}),
    )


def _rights(case: Case) -> str:
    told = []
    for split in (VALID_CHANNEL, TEST_CHANNEL):
        right, guess = case.right(split), case.guess(split)
        if right is not None and guess is not None:
            told.append(
                f"{percent(right[0])} of {_count(right[1], f'{_TOLD_SPLITS[split]} image')} are "
                f"right, where guessing gives {percent(guess)}"
            )
    return "; ".join(told)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def stopped_from_outside(case: Case) -> Finding | None:
    """SIGTERM ended the training: a request to stop it, or its time limit."""
    if case.evidence.job.get("stopped") != "sigterm":
        return None
    wanted = case.arguments.get("epochs")
    of = "" if wanted is None else f" of {wanted}"
    return Finding(
        group=Group.QUALITY,
        sentence=f"The training was stopped from outside in epoch {case.epochs_run + 1}{of}: "
        "somebody asked for it, or it reached its time limit.",
        evidence=(f"{_count(case.epochs_run, 'epoch')} were complete by then",),
        advice="If it was the limit, raise MaxRuntimeInSeconds (--max-runtime); the training "
        "continues from its checkpoint if the job has a checkpoint path.",
        gain=Gain(reasoning="the gain of the missing epochs is not known"),
        worth=3.0,
        claims=frozenset({Claim.STOPPED}),
    )


OUTCOME_FINDINGS: tuple[Callable[[Case], Finding | None], ...] = (
    loss_exploded,
    loss_rose,
    one_class_only,
    no_better_than_guessing,
    stopped_from_outside,
)


def untold(case: Case, found: Iterable[Finding]) -> list[Finding]:
    """Return a finding for each triggered rule, ours or SageMaker's, that no other finding
    covers."""
    told = {finding.rule for finding in found}
    ours = [
        _of_rule(case, result)
        for result in case.results.values()
        if result.status == "IssuesFound" and result.rule not in told
    ]
    covered = told | {finding.rule for finding in ours}
    return [*ours, *(each for each in _of_sagemaker(case) if each.rule not in covered)]


def _of_rule(case: Case, result: RuleResult) -> Finding:
    rule = RULES_BY_NAME.get(result.rule)
    harmless = result.rule in _SYMPTOMS and learns(case)
    first = result.marks[0] if result.marks else None
    where = (
        ""
        if first is None
        else f" {clause(first.message)}, at step {first.step} (epoch {first.epoch})"
    )
    many = f"it triggered {_times(result.triggered)}"
    return Finding(
        group=Group.NOTE if harmless else Group.OTHER,
        sentence=f"The rule {result.rule} found something:{where or f' {many}'}.",
        rule=result.rule,
        evidence=(
            *([] if rule is None else [f"it triggers when: {rule.threshold}"]),
            *([f"{many} in {result.datapoints:,} datapoints"] if where else []),
            *(["the network learns anyway"] if harmless else []),
        ),
        advice=_recommendation(result.rule),
        gain=Gain(reasoning="its cost is not known"),
        worth=float(result.triggered),
        claims=frozenset({Claim.LEARNS}) if harmless else frozenset(),
    )


def _of_sagemaker(case: Case) -> list[Finding]:
    """Return what SageMaker's own report says beyond our rules."""
    return [
        Finding(
            group=Group.OTHER,
            sentence=f"SageMaker's own rule {rule.rule} triggered {_times(rule.triggered)} in "
            f"{rule.datapoints:,} datapoints.",
            rule=rule.rule,
            evidence=(
                f"{rule.violations:,} of them broke its threshold",
                _ours_on(case, rule.rule),
            ),
            advice=_recommendation(rule.rule),
            gain=Gain(reasoning="its cost is not known"),
            worth=rule.triggered / max(rule.datapoints, 1),
        )
        for rule in case.evidence.theirs
        if rule.triggered
    ]


def _ours_on(case: Case, name: str) -> str:
    result = case.results.get(name)
    if result is None:
        return "no rule of that name was evaluated here"
    if result.status == "NotApplicable":
        return f"it could not be evaluated here: {result.details.get('reason')}"
    return "the rule of that name found nothing here, with the thresholds below"


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count:,} times")


def _recommendation(name: str) -> str:
    rule = RULES_BY_NAME.get(name)
    return rule.recommendation if rule else "Look at what the rule measured, in its row below."
