"""Findings about how good the model is: too few or too many epochs, over-fit, under-fit."""

from __future__ import annotations

from collections.abc import Callable

from sm_entrypoints.contract import TRAIN_CHANNEL, VALID_CHANNEL
from sm_entrypoints.rules.verdict.case import Case
from sm_entrypoints.rules.verdict.finding import (
    Change,
    Claim,
    Finding,
    Gain,
    Group,
    duration,
    percent,
)

# A last epoch that lowered the loss by less than this share of it, or by less than this share of
# what guessing would give, is not worth another one.
_STILL_FALLING, _MATERIAL_FALL = 0.02, 0.01
_PRETRAINED = " It started from random weights: pretrained ones would help most."
_GAP = 0.1
_WEAK = 0.8


def epochs_too_few(case: Case) -> Finding | None:
    """The last epoch was the best, and clearly better than the one before."""
    losses, wanted = case.values(VALID_CHANNEL, "loss"), case.arguments.get("epochs")
    if len(losses) < 2 or wanted is None or case.evidence.job.get("stopped"):
        return None
    fell = 1 - losses[-1] / losses[-2] if losses[-2] > 0 else 0.0
    material = losses[-2] - losses[-1] > _MATERIAL_FALL * (case.chance or 1.0)
    if losses[-1] > min(losses) or fell < _STILL_FALLING or not material or len(losses) < wanted:
        return None
    more = 2 * int(wanted)
    return Finding(
        group=Group.QUALITY,
        sentence=f"The training ended too early: the validation loss still fell by {percent(fell)} "
        f"in the last of {wanted} epochs.",
        evidence=(
            "validation loss of the last epochs: "
            + ", ".join(f"{loss:.3f}" for loss in losses[-3:]),
        ),
        change=case.set(epochs=more),
        advice="Train longer; with patience=3 it ends by itself once there is no further gain.",
        gain=Gain(
            kind="quality",
            reasoning=f"at that pace a few more epochs lower the loss further; {more} epochs cost "
            f"up to {duration(_epoch_seconds(case) * (more - len(losses)))} more",
        ),
        # Before over-fit: as long as the validation loss falls, a gap does no harm.
        worth=1 + fell,
        claims=frozenset({Claim.CUT_SHORT}),
    )


def epochs_too_many(case: Case) -> Finding | None:
    """Many epochs came after the best one, and were thrown away."""
    losses = case.values(VALID_CHANNEL, "loss")
    patience = 3
    wasted = len(losses) - 1 - losses.index(min(losses)) - patience if losses else 0
    if wasted < 2 or case.arguments.get("patience"):
        return None
    saved = wasted * _epoch_seconds(case)
    best = losses.index(min(losses)) + 1
    return Finding(
        group=Group.TIME,
        sentence=f"The best model came from epoch {best} of {len(losses)}; the later epochs "
        "gained nothing.",
        rule="Overtraining" if case.issue("Overtraining") else None,
        evidence=(f"validation loss {min(losses):.3f} then, {losses[-1]:.3f} at the end",),
        change=case.set(patience=patience),
        advice=f"End after {patience} epochs without a better validation loss.",
        gain=case.speed(saved, f"{wasted} epochs of {duration(_epoch_seconds(case))} are left out"),
        worth=saved,
    )


def _epoch_seconds(case: Case) -> float:
    """Return what an epoch takes, of those that further ones would be like."""
    columns = [case.values(split, "seconds") for split in (TRAIN_CHANNEL, VALID_CHANNEL)]
    # The first epoch may be the only one that runs the whole network.
    alike = [column[1:] or column for column in columns]
    return sum(sum(values) / len(values) for values in alike if values)


def overfit(case: Case) -> Finding | None:
    """Far better on training images than on others, and getting no better on those."""
    trained, validated = (
        case.values(split, "accuracy")[-1:] for split in (TRAIN_CHANNEL, VALID_CHANNEL)
    )
    if not trained or not validated or not case.learned:
        return None
    gap = trained[0] - validated[0]
    if gap < _GAP:
        return None
    change, advice, reasoning = _less_overfit(case)
    return Finding(
        group=Group.QUALITY,
        sentence=f"The model over-fits: {percent(trained[0])} right on training images, "
        f"{percent(validated[0])} on validation.",
        rule="Overfit" if case.issue("Overfit") else None,
        evidence=(
            *(
                f"{name} loss of the last epoch {values[-1]:.3f}"
                for name, split in (("training", TRAIN_CHANNEL), ("validation", VALID_CHANNEL))
                if (values := case.values(split, "loss"))
            ),
            f"{case.images(TRAIN_CHANNEL)} training images",
        ),
        change=change,
        advice=advice + (_PRETRAINED if case.random_start else ""),
        gain=Gain(kind="quality", reasoning=reasoning),
        worth=gap,
        claims=frozenset({Claim.OVER_FITS}),
    )


def _less_overfit(case: Case) -> tuple[Change | None, str, str]:
    """Return the change, the advice and why it helps."""
    settings = case.arguments
    if settings.get("augmentation") in ("none", "flip"):
        show = "Show crops and mirrored images (not if left and right matter)"
        if case.frozen and not settings.get("views"):
            return (
                case.set(augmentation="standard", views=4),
                f"{show}: 4 random versions of each image. Features of them are computed once, "
                "which takes four more passes over the training images.",
                "a picture that comes in several versions is harder to memorise",
            )
        return (
            case.set(augmentation="standard"),
            f"{show}.",
            "pictures that look different in every epoch cannot be memorised",
        )
    if not settings.get("label_smoothing"):
        return (
            case.set(label_smoothing=0.1),
            "Smooth the labels, or collect more images.",
            "a network that need not be certain has less reason to memorise single images",
        )
    return (
        case.set(weight_decay=0.1),
        "Raise weight_decay, or collect more images.",
        "smaller weights draw smoother boundaries; more images of your own help most",
    )


def underfit(case: Case) -> Finding | None:
    """Not even the training images are recognised: a frozen backbone does not see what matters."""
    trained = case.values(TRAIN_CHANNEL, "accuracy")[-1:]
    if not trained or trained[0] > _WEAK or not case.learned or not case.frozen:
        return None
    if epochs_too_few(case) is not None:
        return None
    best = max(case.values(VALID_CHANNEL, "accuracy"), default=0.0)
    return Finding(
        group=Group.QUALITY,
        sentence=f"The frozen backbone recognises only {percent(trained[0])} of its own training "
        "images.",
        evidence=(f"accuracy {percent(best)} at best on validation images",),
        change=case.set(trainable="all"),
        advice="Let the whole network learn, at a tenth of the rate below its head.",
        gain=Gain(
            kind="quality",
            reasoning="features that can adapt to these images; an epoch costs about three times "
            "as much, because of the backward pass",
        ),
        worth=1 - trained[0],
    )


def confused(case: Case) -> Finding | None:
    """Some classes are taken for others."""
    result = case.issue("Confusion")
    document = case.evidence.evaluation or {}
    matrix, classes = document.get("confusion"), document.get("classes")
    if result is None or not matrix or not classes:
        return None
    pairs = [
        (count, classes[row], classes[column])
        for row, counts in enumerate(matrix)
        for column, count in enumerate(counts)
        if row != column
    ]
    count, true, taken = max(pairs, default=(0, "", ""))
    if not count:
        return None
    return Finding(
        group=Group.OTHER,
        sentence=f"{true} is most often taken for {taken}: {count} test images.",
        rule="Confusion",
        evidence=(f"test accuracy {percent(document.get('accuracy') or 0.0)}",),
        advice=f"Look at the mistakes: are some {true} labelled {taken}, or do both belong "
        "together?",
        gain=Gain(kind="quality", reasoning="labels that disagree limit what can be learned"),
    )


QUALITY_FINDINGS: tuple[Callable[[Case], Finding | None], ...] = (
    epochs_too_few,
    epochs_too_many,
    overfit,
    underfit,
    confused,
)
