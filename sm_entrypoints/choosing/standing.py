"""How networks stand beside each other on the same pictures, with the uncertainty of that."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

# A network this many standard errors behind can no longer win.
HOPELESS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the best of a few heads made of the pictures of validation.

    ``right`` has a character for each picture in their order: 1 where the answer was right.
    ``loss_error`` is the standard error of the mean loss.
    """

    train_pictures: int
    right: str
    loss: float
    loss_error: float

    @property
    def accuracy(self) -> float:
        """The share of right answers."""
        return self.right.count("1") / len(self.right)

    @property
    def accuracy_error(self) -> float:
        """The standard error of the accuracy, by the binomial law.

        It is never 0: all right of 20 pictures is not certain to be right on the next one.
        """
        count = len(self.right)
        share = (self.right.count("1") + 1) / (count + 2)
        return math.sqrt(share * (1 - share) / count)


def behind(one: Standing, other: Standing) -> tuple[float, float]:
    """Return by how much the accuracy of ``one`` is below the other's, and its standard error.

    Both are of the same pictures, so only those count on which one is right and the other is not;
    one more such picture is assumed, which keeps a few pictures from seeming certain.
    """
    pairs = list(zip(one.right, other.right, strict=True))
    lost, won, count = pairs.count(("0", "1")), pairs.count(("1", "0")), len(pairs)
    if one is other:
        return 0.0, 0.0
    variance = lost + won + 1 - (lost - won) ** 2 / count
    return (lost - won) / count, math.sqrt(max(variance, 0.0)) / count


def leader(standings: Mapping[str, Standing], operations: Mapping[str, float]) -> str:
    """Return the network of the best accuracy; of equals the one with the fewest operations."""
    return min(standings, key=lambda name: (-standings[name].accuracy, operations[name], name))


def hopeless(standings: Mapping[str, Standing], best: str) -> dict[str, tuple[float, float]]:
    """Return the networks that can no longer win, with how far they are behind."""
    found = {}
    for name, standing in standings.items():
        gap, error = behind(standing, standings[best])
        if name != best and gap > HOPELESS * error:
            found[name] = (gap, error)
    return found


def pick(standings: Mapping[str, Standing], best: str, milliseconds: Mapping[str, float]) -> str:
    """Return the network that the rule picks: the fastest within one standard error of the best."""
    near = []
    for name, standing in standings.items():
        gap, error = behind(standing, standings[best])
        if gap <= error:
            near.append(name)
    return min(near, key=lambda name: (milliseconds[name], name))
