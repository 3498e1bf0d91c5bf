"""The input of a comparison: a training's hyperparameters, one change, and limits."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NoReturn, get_args

from sm_entrypoints.contract.arguments import (
    HyperparameterError,
    TrainingArguments,
    parse_arguments,
)
from sm_entrypoints.contract.choices import Measure
from sm_entrypoints.contract.hyperparameters import HYPERPARAMETERS
from sm_entrypoints.contract.wire import decode

# ``duration``: of whole trainings, for changes that leave out epochs.
Measured = Literal["speed", "quality", "duration"]

# Below six pairs no interval of the median has 95% confidence (2 / 2**6 = 3%).
LEAST_PAIRS = 6
MOST_PAIRS = 200
_COMPARED = {name for name, row in HYPERPARAMETERS.items() if row.judged_by}
_JUDGED_BY_LOSS = {name for name, row in HYPERPARAMETERS.items() if row.judged_by == "loss"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonArguments:
    """Two trainings to compare: ``baseline`` as it was, ``changed`` with ``change`` applied.

    ``pairs`` of blocks are measured at least, within about ``seconds``; one-off costs are spread
    over ``job_epochs``.
    """

    baseline: TrainingArguments
    changed: TrainingArguments
    change: Mapping[str, Any]
    measure: Measured
    pairs: int
    seconds: float
    job_epochs: int

    @property
    def alters_numbers(self) -> bool:
        """Whether the change may give another model, not only the same one sooner."""
        return not all(HYPERPARAMETERS[name].same_numbers for name in self.change)


def parse_comparison(argv: Sequence[str]) -> ComparisonArguments:
    """Read ``--name value``: those of train.py, and of the comparison itself.

    These are ``change`` (a JSON object), ``measure`` (auto, speed or quality), ``pairs``,
    ``seconds``, ``job_epochs``, and ``cached``: whether the training to improve had its features
    cached, which ``cache_features=auto`` does not tell.

    Raises:
        HyperparameterError: one is unknown, malformed or out of bounds, or the change is none.
    """
    options, rest = _parser().parse_known_args(list(argv))
    # Watching both variants would be measured too.
    baseline = replace(parse_arguments(rest), instrumentation="off")
    values = _change(options.change)
    typed = parse_arguments([f"--{name}={value}" for name, value in values.items()])
    change = {name: getattr(typed, name) for name in values}
    measure = _measure(options.measure, set(change))
    if measure == "speed" and baseline.cache_features == "auto" and options.cached is not None:
        baseline = replace(baseline, cache_features=options.cached.lower())
    changed = replace(baseline, **change)
    if changed == baseline:
        raise HyperparameterError(
            f"change={values} is what the training already uses: change something else"
        )
    return ComparisonArguments(
        baseline=baseline,
        changed=changed,
        change=change,
        measure=measure,
        pairs=int(_number("pairs", options.pairs, LEAST_PAIRS, MOST_PAIRS)),
        seconds=_number("seconds", options.seconds, 1, 86_400),
        job_epochs=int(_number("job_epochs", options.job_epochs or baseline.epochs, 1, 100_000)),
    )


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise HyperparameterError(message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("--change", required=True)
    parser.add_argument("--measure", default="auto")
    parser.add_argument("--pairs", default=LEAST_PAIRS)
    parser.add_argument("--seconds", default=120)
    parser.add_argument("--job_epochs", "--job-epochs")
    parser.add_argument("--cached", choices=("True", "False", "true", "false"))
    return parser


def _change(text: str) -> dict[str, Any]:
    change = decode(text, times=2)  # quoted twice, SageMaker passes it on as it is
    if not isinstance(change, dict) or not change:
        raise HyperparameterError(
            f'change={text!r} must be a JSON object of hyperparameters: {{"num_workers": 2}}'
        )
    unfit = sorted(set(change) - _COMPARED)
    if unfit:
        raise HyperparameterError(
            f"a change of {', '.join(unfit)} cannot be compared: known: "
            f"{', '.join(sorted(_COMPARED))}"
        )
    return change


def _measure(text: str, names: set[str]) -> Measured:
    if text not in get_args(Measure):
        raise HyperparameterError(f"measure={text!r} must be one of {', '.join(get_args(Measure))}")
    if text == "quality" or (text == "auto" and names <= _JUDGED_BY_LOSS):
        return "quality"
    return "duration" if names & {"epochs", "patience"} else "speed"


def _number(name: str, text: Any, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        raise HyperparameterError(f"{name}={text!r} is not a number") from None
    if not low <= value <= high:
        raise HyperparameterError(f"{name}={text!r} must be >= {low:g} and <= {high:g}")
    return value
