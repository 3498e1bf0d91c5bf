"""Compare two models on the same pictures: is the new one worse by more than a margin?

The models are right or wrong about the same pictures, so only those count that one of them got
right alone. Two independent intervals would be far too wide, and "not significantly worse" would
pass any model on few pictures: here the model passes only if a loss of the margin is ruled out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from sm_entrypoints.contract.sentences import clause, counted, ended
from tasks.runs.approval_parts import Comparison, Outcome

# One-sided 5% on either side, and the power with which `enough` pictures tell.
_CHANCE, _Z, _Z_POWER = 0.05, 1.6448536269514722, 0.8416212335729143
_HALVINGS = 40


class Compared(NamedTuple):
    """Who was compared with whom: the new model's training job, the old one's endpoint and run."""

    training_job: str
    endpoint: str
    run: str


def compare(
    compared: Compared, answers: Iterable[tuple[bool, bool]], margin: float, note: str = ""
) -> Comparison:
    """Return what the answers tell; of each picture, whether the new and the old model are right.

    Args:
        margin: the loss of accuracy that is put up with, as a share.

    Raises:
        ValueError: there are no pictures.
    """
    pairs = list(answers)
    if not pairs:
        raise ValueError("no picture was answered by both models")
    count = len(pairs)
    new, old = pairs.count((True, False)), pairs.count((False, True))
    lower, upper = interval(new, old, count)
    return Comparison(
        **compared._asdict(),
        pictures=count,
        both_right=pairs.count((True, True)),
        only_new_right=new,
        only_old_right=old,
        both_wrong=pairs.count((False, False)),
        difference=(new - old) / count,
        lower=lower,
        upper=upper,
        margin=margin,
        p_value=mcnemar(new, old),
        outcome=_outcome(lower, upper, margin, differ=mcnemar(new, old) < 2 * _CHANCE),
        enough=enough_pictures(new, old, count, margin),
        note=note,
    )


def _outcome(lower: float, upper: float, margin: float, *, differ: bool) -> Outcome:
    if lower > 0 and differ:
        return "better"
    if lower > -margin:
        return "not worse"
    return "worse" if upper < 0 and differ else "too few pictures to tell"


def interval(new: int, old: int, count: int) -> tuple[float, float]:
    """Return the bounds of the difference of two accuracies, each passed by chance 1 time in 20.

    Tango's score interval for paired shares (Statistics in Medicine 17, 1998). A bootstrap of the
    pairs would be a point where the models agree on every picture, however few there are.
    """
    return _lower(new, old, count), -_lower(old, new, count)


def _lower(new: int, old: int, count: int) -> float:
    """Return the least difference that the counts do not reject; the score falls as it grows."""
    below, above = -1.0, (new - old) / count
    for _ in range(_HALVINGS):
        middle = (below + above) / 2
        if _score(new, old, count, middle) > _Z:
            below = middle
        else:
            above = middle
    return below


def _score(new: int, old: int, count: int, difference: float) -> float:
    """Return how many standard errors the counts lie above a difference, were it the true one."""
    # The likeliest share of pictures that only the old model gets right, given the difference.
    a = 2 * count
    b = (2 * count - new + old) * difference - new - old
    c = -old * difference * (1 - difference)
    share = (math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)
    variance = count * (2 * share + difference * (1 - difference))
    excess = new - old - count * difference
    if variance <= 0:
        return math.copysign(math.inf, excess) if excess else 0.0
    return excess / math.sqrt(variance)


def mcnemar(new: int, old: int) -> float:
    """Return the two-sided p-value of McNemar's exact test: a coin that falls so unevenly."""
    tosses = new + old
    # Whole numbers: thousands of tosses are no float.
    ways, tail = 1, 1
    for heads in range(1, min(new, old) + 1):
        ways = ways * (tosses - heads + 1) // heads
        tail += ways
    return min(1.0, tail / 2 ** (tosses - 1)) if tosses else 1.0


def enough_pictures(new: int, old: int, count: int, margin: float) -> int:
    """Return about how many pictures rule out a loss of ``margin`` 4 times in 5, if there is none.

    It takes the share of pictures that only one model got right from those that were asked.
    """
    differing = (new + old + 2) / (count + 2)
    needed = (_Z + _Z_POWER) ** 2 * differing / margin**2
    rounding: int = 10 ** max(0, math.floor(math.log10(needed)) - 1)
    return int(math.ceil(needed / rounding) * rounding)


def sentence_of(found: Comparison) -> str:
    """Return what a comparison says, in one sentence."""
    points, margin = found.difference * 100, found.margin * 100
    said = (
        f"{points:+.1f} points of accuracy against the model in service, between "
        f"{found.lower * 100:+.1f} and {found.upper * 100:+.1f}, on the same "
        f"{counted(found.pictures, 'test picture')}"
    )
    if found.outcome == "too few pictures to tell":
        return (
            f"Too few pictures to tell whether it is worse by more than {margin:g} points: {said}; "
            f"about {found.enough:,} would tell."
        )
    verdicts = {
        "better": "It is better than the model in service",
        "not worse": f"It is not worse by more than {margin:g} points",
        "worse": "It is worse than the model in service",
    }
    return ended(f"{clause(verdicts[found.outcome])}: {said}")
