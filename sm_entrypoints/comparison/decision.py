"""Decide whether to keep a change: only if it is better by more than the noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sm_entrypoints.comparison.arguments import LEAST_PAIRS
from sm_entrypoints.comparison.intervals import Estimate
from sm_entrypoints.comparison.quality import LEAST_SHARE, Quality
from sm_entrypoints.comparison.speed import Speed
from sm_entrypoints.contract.sentences import counted

Verdict = Literal["kept", "rejected", "inconclusive"]

# A gain below this would not be worth another set of hyperparameters.
_LEAST_SPEED_GAIN = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do with the change, and one sentence that says why."""

    verdict: Verdict
    reason: str


def decide_on_speed(
    speed: Speed | None, losses: Quality | None, *, job_epochs: int, alters_numbers: bool
) -> Decision:
    """Decide on a change that should save time.

    It is kept when the whole interval of the ratio is below 1, the gain is larger than what the
    control shows between equal blocks, the loss does not get worse, and what the change costs once
    is won back within ``job_epochs`` epochs, with a gain that is worth it.
    """
    if speed is None or speed.pairs < LEAST_PAIRS:
        done = speed.pairs if speed else 0
        return _open(
            f"only {done} of {LEAST_PAIRS} pairs of blocks fit into the time: give it more"
        )
    ratio, gain = speed.ratio(), 1 / speed.ratio().value - 1
    seen = f"{ratio.value:.3f} times the time per image ({ratio.low:.3f} to {ratio.high:.3f})"
    if ratio.low > 1:
        return Decision(verdict="rejected", reason=f"the change is slower: {seen}")
    if ratio.high < 1 and gain > _noise(speed.control()):
        return _faster(speed, losses, seen, job_epochs=job_epochs, alters_numbers=alters_numbers)
    if 1 / ratio.low - 1 < _LEAST_SPEED_GAIN:
        return Decision(verdict="rejected", reason=f"the change saves next to nothing: {seen}")
    return _open(f"the difference is within the noise: {seen}")


def _open(reason: str) -> Decision:
    return Decision(verdict="inconclusive", reason=reason)


def _noise(control: Estimate | None) -> float:
    """Return the largest gain that equal blocks may show, 0.1 for 10%."""
    return max(control.high, 1 / control.low) - 1 if control else float("inf")


def _faster(
    speed: Speed, losses: Quality | None, seen: str, *, job_epochs: int, alters_numbers: bool
) -> Decision:
    if alters_numbers and losses is None:
        return _open(f"{seen}, but there was no time to measure its effect on the loss")
    if losses is not None and losses.is_worse():
        return Decision(
            verdict="rejected", reason=f"{seen}, but the model gets worse: {describe(losses)}"
        )
    before, after = (speed.job_seconds(name, job_epochs) for name in ("A", "B"))
    if before - after <= 0:
        return Decision(
            verdict="rejected",
            reason=f"{seen}, but the costs of the change, once or per epoch, are not recovered "
            f"within {counted(job_epochs, 'epoch')}",
        )
    if before - after < _LEAST_SPEED_GAIN * before:
        return Decision(
            verdict="rejected",
            reason=f"{seen}, but with its one-off costs, "
            f"{counted(job_epochs, 'epoch takes', 'epochs take')} {after:.1f} s instead "
            f"of {before:.1f} s: next to nothing",
        )
    effect = f"; {describe(losses)}" if losses else ""
    return Decision(verdict="kept", reason=f"the change is faster: {seen}{effect}")


def decide_on_quality(losses: Quality | None) -> Decision:
    """Decide on a change that should give a better model: judged by the validation loss."""
    if losses is None:
        return _open("no seed could be trained with both variants in time: give more")
    effect = describe(losses)
    if losses.is_better():
        return Decision(verdict="kept", reason=f"the model gets better: {effect}")
    if losses.is_worse():
        return Decision(verdict="rejected", reason=f"the model gets worse: {effect}")
    difference, before = losses.difference(), losses.losses("A")
    least = LEAST_SHARE * sum(before) / len(before)
    if difference is not None and -difference.low < least:
        return Decision(verdict="rejected", reason=f"the model does not get better: {effect}")
    return _open(f"the difference is within the spread between seeds: {effect}")


def decide_on_duration(losses: Quality | None) -> Decision:
    """Decide on a change that leaves out epochs: it must save time and not cost quality."""
    if losses is None:
        return _open("no seed could be trained with both variants in time: give more")
    ratio, effect = losses.seconds_ratio(), describe(losses)
    seen = f"{ratio.value:.3f} times the time ({ratio.low:.3f} to {ratio.high:.3f}); {effect}"
    if losses.is_worse():
        return Decision(verdict="rejected", reason=f"the model gets worse: {seen}")
    if ratio.high < 1 and 1 / ratio.value - 1 > _LEAST_SPEED_GAIN:
        return Decision(verdict="kept", reason=f"the training is shorter: {seen}")
    if ratio.low > 1 - _LEAST_SPEED_GAIN:
        return Decision(verdict="rejected", reason=f"the training does not get shorter: {seen}")
    return _open(f"the difference is within the spread between seeds: {seen}")


def describe(losses: Quality) -> str:
    """Return the losses in words."""
    difference, seeds = losses.difference(), len(losses.losses("A"))
    if difference is None:
        diverged = ", ".join(f"{losses.diverged(name)} of {name}" for name in ("A", "B"))
        return f"of {seeds} trainings each, diverged {diverged}"
    before = sum(losses.losses("A")) / seeds
    return (
        f"validation loss {before:.4f} as trained, {before + difference.value:.4f} changed "
        f"(difference {difference.value:+.4f}, {difference.low:+.4f} to {difference.high:+.4f}, "
        f"{seeds} seeds)"
    )
