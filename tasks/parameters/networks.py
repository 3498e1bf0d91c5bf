"""What goes with a choice among several networks."""

from __future__ import annotations


def require_choice(asked: str, weights: str, trainable: str) -> None:
    """Check what several networks can have in common.

    Raises:
        ValueError: weights of one's own, or none; or all layers train.
    """
    if weights != "imagenet":
        raise ValueError(
            f"weights={weights!r} cannot be those of several networks ({asked}): name one model, "
            "or use weights='imagenet'"
        )
    if trainable == "all":
        raise ValueError(
            f"model {asked!r} is chosen by what its frozen layers see, but trainable='all' "
            "changes them: use trainable='head', or name one model"
        )
