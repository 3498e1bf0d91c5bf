"""Findings about learning itself: broken numbers, nothing learned, data that does not fit."""

from __future__ import annotations

import math
from collections.abc import Callable

from sm_entrypoints.contract import TRAIN_CHANNEL, VALID_CHANNEL
from sm_entrypoints.contract.sentences import ended
from sm_entrypoints.rules.result import RuleResult
from sm_entrypoints.rules.verdict.case import Case
from sm_entrypoints.rules.verdict.finding import (
    WORKING_MODEL,
    Change,
    Claim,
    Finding,
    Gain,
    Group,
    percent,
    rounded,
)

_MOST_MARKS = 3
_FEWEST_EPOCHS = 3
_FALLS = 0.95
# Where a search for lr may well begin.
_USUAL_RATE = 1e-3
# So many times the loss of guessing is wrong with great certainty: no healthy training gets there.
_FAR_ABOVE_CHANCE = 2.0


def _marks(result: RuleResult) -> tuple[str, ...]:
    """Return the first places where a rule triggered, as lines of evidence."""
    return tuple(
        f"{mark.mode} step {mark.step} (epoch {mark.epoch}), {mark.subject}: {mark.message}"
        for mark in result.marks[:_MOST_MARKS]
    )


def _losses(case: Case) -> tuple[str, ...]:
    lines = []
    for split, name in ((TRAIN_CHANNEL, "training"), (VALID_CHANNEL, "validation")):
        losses = case.values(split, "loss")
        if losses:
            lines.append(f"{name} loss {losses[0]:.3f} in epoch 1, {losses[-1]:.3f} in the last")
    if case.chance is not None:
        lines.append(f"guessing gives a loss of {case.chance:.3f}")
    return tuple(lines)


def scaled_rate(case: Case, factor: float) -> Change | None:
    """Return another learning rate as a change; None for a job that is not train.py's."""
    lr = case.arguments.get("lr")
    return None if lr is None else case.set(lr=rounded(lr * factor))


def broken_numbers(case: Case) -> Finding | None:
    """Values that are not numbers: nothing after them means anything."""
    result = case.issue("ExplodingTensor")
    diverged = case.evidence.job.get("stopped") == "diverged"
    if result is None and not diverged:
        return None
    first = result.marks[0] if result is not None and result.marks else None
    # What was there before the first update came with the job: input or weights, not the rate.
    from_input = first is not None and (first.mode, first.step) == ("TRAIN", 0)
    what = f"{first.subject} at step {first.step} (epoch {first.epoch})" if first else "the loss"
    if from_input:
        sentence = f"The training's input is broken: {what} holds values that are not numbers"
        advice = "Check the weights and the images: they contain NaN or infinite values."
    else:
        sentence = f"The numbers exploded: {what} is no longer finite"
        advice = "Lower lr; a few warmup_epochs help too."
    return Finding(
        group=Group.BROKEN,
        severity="error",
        sentence=ended(sentence),
        rule="ExplodingTensor",
        evidence=(_marks(result) if result else ()) + _losses(case),
        change=None if from_input else scaled_rate(case, 0.1),
        advice=advice,
        gain=WORKING_MODEL,
        claims=frozenset({Claim.EXPLODED}),
    )


def nothing_learned(case: Case) -> Finding | None:
    """The loss is where guessing is: the rate is far off, or the network cannot learn."""
    losses = case.values(TRAIN_CHANNEL, "loss")
    if case.learned is not False or _too_early(case, losses):
        return None
    for name in _CAUSES:
        cause = case.issue(name)
        if cause is not None:
            return _cause(case, name, cause)
    wild = max(losses) > 1.2 * (case.fresh or 0.0) or losses[-1] > 1.05 * losses[0]
    lr = case.arguments.get("lr") or _USUAL_RATE
    # Ten times next to nothing is next to nothing.
    factor = 0.1 if wild else max(10.0, _USUAL_RATE / lr)
    change = scaled_rate(case, factor)
    how_far = "by a factor of ten" if factor <= 10 else f"to {_USUAL_RATE:g}"
    how = "jumps about" if wild else "hardly moves"
    knows_something = case.knows_something
    return Finding(
        group=Group.NOT_LEARNING,
        severity="warning" if knows_something else "error",
        sentence=f"The loss {how}, though the model is better than guessing by now."
        if knows_something
        else f"The network learns nothing: its loss {how} and stays where guessing is.",
        rule="LossNotDecreasing",
        evidence=_losses(case),
        change=change,
        advice=f"{'Lower' if wild else 'Raise'} lr {how_far}, then search around it.",
        gain=WORKING_MODEL,
        claims=frozenset() if knows_something else frozenset({Claim.LEARNS_NOTHING}),
    )


def steps_too_large(case: Case) -> Finding | None:
    """The loss of every epoch is far above that of guessing, though it may fall."""
    losses = case.values(VALID_CHANNEL, "loss") or case.values(TRAIN_CHANNEL, "loss")
    lr = case.arguments.get("lr")
    # Images at the wrong scale do the same, and another rate would not help them.
    if not losses or lr is None or case.fresh is None or case.issue("CheckInputImages"):
        return None
    times = min(losses) / case.fresh
    if times < _FAR_ABOVE_CHANCE:
        return None
    factor, word = (0.1, "ten") if times < 10 * _FAR_ABOVE_CHANCE else (0.01, "a hundred")
    return Finding(
        group=Group.NOT_LEARNING,
        severity="error",
        sentence=f"The updates are too large: with lr={lr:g} the loss is {min(losses):.3g} at "
        f"best, where an untrained network has {case.fresh:.3g}.",
        rule="LossNotDecreasing" if case.issue("LossNotDecreasing") else None,
        evidence=_losses(case),
        change=scaled_rate(case, factor),
        advice=f"Lower lr by a factor of {word}, then search around it.",
        gain=WORKING_MODEL,
        worth=0.5,
    )


def _too_early(case: Case, losses: list[float]) -> bool:
    """Return whether a loss near that of guessing may be due to a training that is too short."""
    falls = losses[-1] < _FALLS * losses[0]
    return falls or (len(losses) < _FEWEST_EPOCHS and case.issue("LossNotDecreasing") is None)


_CAUSES: dict[str, tuple[str, str, float | None]] = {
    "AllZero": ("whole tensors are zero", "Start from pretrained weights or torch's own.", None),
    "PoorWeightInitialization": (
        "its layers start at scales that do not fit each other",
        "Start from pretrained weights (weights=auto with a weights channel) or torch's own "
        "initialisation.",
        None,
    ),
    "SaturatedActivation": (
        "its activations are saturated and pass no gradient",
        "Lower lr, and check that the inputs are normalised.",
        0.1,
    ),
    "DeadRelu": (
        "most of its ReLUs never fire",
        "Lower lr, and check weights and normalisation.",
        0.1,
    ),
    "VanishingGradient": (
        "its gradients vanish before they reach the first layers",
        "Start from pretrained weights, or take a network with residual connections (resnet18).",
        None,
    ),
}


def _cause(case: Case, name: str, result: RuleResult) -> Finding:
    what, advice, factor = _CAUSES[name]
    return Finding(
        group=Group.NOT_LEARNING,
        severity="error",
        sentence=f"The network learns nothing because {what}.",
        rule=name,
        evidence=_marks(result) + _losses(case),
        change=None if factor is None else scaled_rate(case, factor),
        advice=advice,
        gain=WORKING_MODEL,
        worth=1.0,
        claims=frozenset({Claim.LEARNS_NOTHING}),
    )


def labels_do_not_fit(case: Case) -> Finding | None:
    """Training images are learned by heart, others are guessed: labels or splits are wrong."""
    if not case.learned or case.generalised is not False:
        return None
    accuracies = [case.values(split, "accuracy") for split in (TRAIN_CHANNEL, VALID_CHANNEL)]
    trained, validated = (max(values, default=0.0) for values in accuracies)
    if validated > _guessed_at_most(case):  # over-fit: sure of what is wrong, but often right
        return None
    return Finding(
        group=Group.DATA,
        severity="error",
        sentence="The network learns its training images by heart but only guesses on new ones: "
        "the labels do not seem to follow from the images.",
        rule="Confusion",
        evidence=(
            f"accuracy {percent(trained)} on training images, {percent(validated)} on validation",
            *_losses(case),
        ),
        advice="Look at a few images of each class in train and valid: are the labels right, "
        "and assigned in the same way in both? Without pretrained weights there may "
        "also be too few images.",
        gain=WORKING_MODEL,
        worth=1.0,
        claims=frozenset({Claim.BY_HEART, Claim.GUESSES}),
    )


def _guessed_at_most(case: Case) -> float:
    """Return the accuracy up to which a model may only guess: twice that of chance, or halfway."""
    guessed = math.exp(-(case.chance or 0.0))
    return min(2 * guessed, (1 + guessed) / 2)


def inputs_not_normalised(case: Case) -> Finding | None:
    """The network gets images at a scale it was not made for."""
    result = case.issue("CheckInputImages")
    if result is None:
        return None
    return Finding(
        group=Group.DATA,
        sentence="The images that reach the network are not centred around zero.",
        rule="CheckInputImages",
        evidence=_marks(result),
        advice="Use the mean and deviation that the weights were trained with (the metadata of "
        "weights.safetensors).",
        gain=Gain(
            kind="quality",
            reasoning="pretrained filters expect inputs like those they were trained on",
        ),
        worth=0.8,
    )


def classes_unequal(case: Case) -> Finding | None:
    """Some class has many times the images of another."""
    result = case.issue("ClassImbalance")
    counts = case.evidence.class_counts
    if result is None or len(counts) < 2:
        return None
    most, fewest = max(counts, key=lambda name: counts[name]), min(counts, key=counts.__getitem__)
    return Finding(
        group=Group.DATA,
        sentence=f"The classes are unequal: {counts[most]} training images of {most}, but "
        f"{counts[fewest]} of {fewest}.",
        rule="ClassImbalance",
        evidence=_marks(result) + _worst_recall(case),
        advice=f"Collect more images of {fewest}, or leave out some of {most}.",
        gain=Gain(kind="quality", reasoning="rare classes are learned last and predicted least"),
        worth=0.5,
    )


def _worst_recall(case: Case) -> tuple[str, ...]:
    rows = (case.evidence.evaluation or {}).get("per_class") or []
    measured = [row for row in rows if row.get("recall") is not None and row.get("support")]
    if not measured:
        return ()
    worst = min(measured, key=lambda row: row["recall"])
    return (f"of the {worst['label']} images in the test split {percent(worst['recall'])} found",)


LEARNING_FINDINGS: tuple[Callable[[Case], Finding | None], ...] = (
    broken_numbers,
    nothing_learned,
    steps_too_large,
    labels_do_not_fit,
    inputs_not_normalised,
    classes_unequal,
)
