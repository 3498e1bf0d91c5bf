"""Lint the network's inputs: are the images normalised as its weights need it?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from sm_entrypoints.contract import IMAGENET_MEAN, IMAGENET_STD
from sm_entrypoints.contract.sentences import counted
from tasks.lint.findings import LintFinding, worst_first

_IMAGENET = {"mean": IMAGENET_MEAN, "std": IMAGENET_STD}
# Data sets differ from each other by less, other conventions (0.5, or none) by more.
_TOLERANCE = 0.1
# A normalised pixel is between -2.2 and 2.7.
_LARGEST_NORMALISED = 10.0
_COLLECTION = "inputs"


def lint_inputs(
    reductions: pd.DataFrame, training: Mapping[str, Mapping[str, object]]
) -> list[LintFinding]:
    """Return what is wrong with the input of a network, from what its job recorded.

    Args:
        reductions: ``TrainingOutput.reductions``; rows of the collection "inputs" are read.
        training: ``TrainingOutput.training``; ``arguments.weights`` and ``model.mean`` and
            ``model.std`` (per channel, of pixels of 0 to 1) are read where they are.
    """
    pretrained = training.get("arguments", {}).get("weights", "none") != "none"
    inputs = reductions[reductions["collection"] == _COLLECTION]
    findings = [*_range(inputs, pretrained), *_constants(training.get("model", {}), pretrained)]
    return worst_first(findings)


def _range(inputs: pd.DataFrame, pretrained: bool) -> Iterator[LintFinding]:
    low, high = inputs["min"].min(), inputs["max"].max()
    evidence = f"pixels from {low:.3g} to {high:.3g}, mean {inputs['mean'].mean():.3g}, "
    evidence += f"std {inputs['std'].mean():.3g}, {counted(len(inputs), 'batch', 'batches')}"
    if inputs.empty or pd.isna(low) or pd.isna(high):
        return
    if high > _LARGEST_NORMALISED:
        yield _missing("are raw pixels of 0 to 255", evidence, pretrained)
    elif low >= -1e-3 and 0.5 < high <= 1 + 1e-3:
        yield _missing("are pixels of 0 to 1, not normalised", evidence, pretrained)
    elif pretrained and abs(low + 1) < 0.02 and abs(high - 1) < 0.02:
        yield _missing("are scaled to -1 to 1, as for other weights", evidence, pretrained)


def _missing(what: str, evidence: str, pretrained: bool) -> LintFinding:
    why = (
        "the pretrained weights expect other numbers" if pretrained else "this slows training down"
    )
    return LintFinding(
        code="normalisation-missing",
        severity="error" if pretrained else "warning",
        message=f"The network's inputs {what}: {why}.",
        evidence=evidence,
        advice=_advice(),
    )


def _advice() -> str:
    mean, std = (", ".join(map(str, _IMAGENET[name])) for name in ("mean", "std"))
    return f"Normalise with mean ({mean}) and std ({std}), in both training and serving."


def _constants(model: Mapping[str, object], pretrained: bool) -> Iterator[LintFinding]:
    normalisation = {name: model.get(name) for name in _IMAGENET}
    if not pretrained or all(_fits(normalisation[name], _IMAGENET[name]) for name in _IMAGENET):
        return
    yield LintFinding(
        code="normalisation-differs",
        severity="warning",
        message="Images are normalised with numbers other than those of torchvision's "
        "pretrained weights.",
        evidence=f"mean {normalisation['mean']}, std {normalisation['std']}",
        advice=f"{_advice()} Leave it if your own weights were trained with these.",
    )


def _fits(given: object, needed: Sequence[float]) -> bool:
    if not isinstance(given, Sequence):  # not recorded
        return True
    return len(given) == len(needed) and all(
        abs(a - b) <= _TOLERANCE for a, b in zip(given, needed, strict=True)
    )
