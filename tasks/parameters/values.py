"""Which values train.py takes: a wrong one is said before a job is paid for, which then fails.

The job checks again, by the same rows: ``sm_entrypoints.contract.hyperparameters``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from platforms.errors import ParameterError
from sm_entrypoints import contract
from sm_entrypoints.contract.hyperparameters import Bounds, Hyperparameter
from sm_entrypoints.contract.wire import Value
from tasks.parameters.ranges import CategoricalRange, ContinuousRange, SearchRange

# Where all maps have several pixels still: tried with each of torchvision's families.
_LEAST_SIDE = 33
_LEAST_SIDES = {"densenet": 64, "googlenet": 47, "inception": 107, "vgg": 32}
_WITHOUT_BATCH_NORM = ("alexnet", "convnext", "squeezenet", "swin", "vgg", "vit")


def require_values(values: Mapping[str, Value]) -> None:
    """Check values of known hyperparameters, those of other names not at all.

    Raises:
        ValueError: names the hyperparameter, its value, and what it may be.
    """
    for name, value in values.items():
        if name == "model":
            contract.require_architecture(str(value))
        if name in contract.HYPERPARAMETERS:
            contract.HYPERPARAMETERS[name].read(value)


def value_schemas() -> dict[str, object]:
    """Return what the server of the forms checks of values, as JSON schemas by pattern of a name.

    Not as ``properties``: a form would draw a field for each.
    """
    known = contract.HYPERPARAMETERS.items()
    return {f"^{name}$": found for name, each in known if (found := _value_schema(each))}


def _value_schema(row: Hyperparameter) -> dict[str, object]:
    if row.domain is None:
        return {}
    if not isinstance(row.domain, Bounds):
        switches = [True, False] if {"true", "false"} <= {*row.domain} else []
        return {"enum": [*row.domain, *switches, *(["none"] if row.optional else [])]}
    low, high, open_low, open_high = row.domain
    # A text is what the command line and schedules give; its bounds are the run's business.
    text = r"[-+.\deE]+|none|null" if row.optional else r"[-+.\deE]+"
    return {
        "type": ["number", "string"],
        "exclusiveMinimum" if open_low else "minimum": low,
        "exclusiveMaximum" if open_high else "maximum": high,
        "pattern": rf"^ *({text}) *$",
    }


def require_ranges(ranges: Mapping[str, SearchRange]) -> None:
    """Check that every value that a search may draw is one that the job takes.

    Raises:
        ValueError: names the hyperparameter, the first wrong value, and what it may be.
    """
    for name, span in ranges.items():
        drawn = span.values if isinstance(span, CategoricalRange) else [span.min, span.max]
        for value in drawn:
            require_values({name: value})
        known = contract.HYPERPARAMETERS.get(name)
        if isinstance(span, ContinuousRange) and known is not None and known.kind is int:
            raise ValueError(
                f"hyperparameter {name} takes whole numbers: give a range of integers, not "
                f"{span.min}:{span.max}"
            )


def require_views(values: Mapping[str, Value], searched: Mapping[str, SearchRange]) -> None:
    """Check that views are of images that change: the job refuses others.

    Raises:
        ValueError: they are not; says what to do.
    """
    views = contract.HYPERPARAMETERS["views"].read(values.get("views", 0))
    augmentation = str(values.get("augmentation", "none")).strip().lower()
    if views and augmentation == "none" and "augmentation" not in searched:
        raise ValueError(
            f"views={views} needs augmentation=flip or standard: without, all views of an image "
            "are the same"
        )


def require_batches(values: Mapping[str, Value], searched: Mapping[str, SearchRange]) -> None:
    """Check that a network can learn from the smallest batches that it may be given.

    Batch normalisation cannot learn from a batch of one image whose last maps have one pixel. The
    job checks it for any network and any batch; this says it before anything runs.

    Args:
        values: what all jobs get.
        searched: what a search draws.

    Raises:
        ParameterError: it cannot; says what to do.
    """
    span = searched.get("batch_size")
    drawn = span.values if isinstance(span, CategoricalRange) else [span.min] if span else []
    sizes = [_number(size) for size in (drawn or [values.get("batch_size", 0)])]
    model, side = str(values.get("model", "")), _number(values.get("image_size", math.inf))
    least = _least_side(model)
    if 1 in sizes and values.get("trainable") == "all" and side < least:
        raise ParameterError(
            f"batch_size=1 cannot train all layers of {model} at image_size={side:g}: its batch "
            "normalisation would see one value per channel. Give batch_size=2 or more, "
            f"image_size={least} or more, or trainable=head"
        )


def _number(value: Value) -> float:
    """Return a value as a number; NaN for a plan's placeholder ("best trial's batch_size")."""
    try:
        return float(value)
    except ValueError:
        return math.nan


def _least_side(model: str) -> int:
    """Return the least image size at which a batch of one image can train a network, in pixels."""
    sides = [side for name, side in _LEAST_SIDES.items() if model.startswith(name)]
    if model.startswith(_WITHOUT_BATCH_NORM) and not model.endswith("_bn"):
        return 0
    return sides[0] if sides else _LEAST_SIDE
