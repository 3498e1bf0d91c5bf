"""Lint a search after it ran: do its trials' objectives tell hyperparameters apart?

The input is what SageMaker lists about the trials. A false alarm makes people search for a bug that
does not exist, so the tests of proportions demand more evidence than strictly necessary.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from dashboards.files.trials import Trials
from sm_entrypoints.contract.sentences import counted
from tasks.lint.findings import EDGE_CODE, LintFinding, worst_first
from tasks.lint.metric_names import kind_of

_BATCH_SIZES = ("batch_size", "batch-size", "train_batch_size", "per_device_train_batch_size", "bs")
_LEARNING_RATES = ("lr", "learning_rate", "learning-rate", "max_lr")
# Mean losses of 1,000 classes are below this, ln(1000), once anything at all was learned.
_MOST_CLASSES = 1000
_MOST_NAMES = 5


def lint_search(
    trials: Trials, *, edges: Mapping[str, str] | None = None, classes: int | None = None
) -> list[LintFinding]:
    """Return what is wrong with a search, from its trials, worst first.

    Args:
        trials: of one tuning job; those that still run are left out.
        edges: hyperparameters whose best value is at the ``lower`` or ``upper`` edge of its range.
        classes: how many classes the data has, if known.
    """
    return worst_first(
        [
            *_missing(trials),
            *_constant(trials),
            *_scales_with_batch(trials, classes or _MOST_CLASSES),
            *_edges(edges or {}),
        ]
    )


def _edges(edges: Mapping[str, str]) -> Iterator[LintFinding]:
    for name, edge in edges.items():
        yield LintFinding(
            code=EDGE_CODE,
            severity="warning",
            message=f"The best {name} is at the {edge} edge of its range: better values may lie "
            "beyond.",
            evidence=f"{name}: {edge} edge",
            advice=f"Widen the range of {name} and search again.",
        )


def _missing(trials: Trials) -> Iterator[LintFinding]:
    frame = trials.frame
    ended = frame[frame["status"].isin(["Completed", "Failed"])]
    lost = [str(name) for name in ended.loc[ended["objective"].isna(), "name"]]
    if not lost:
        return
    more = f" and {len(lost) - _MOST_NAMES} more" if len(lost) > _MOST_NAMES else ""
    yield LintFinding(
        code="objective-missing",
        severity="error" if len(lost) == len(ended) else "warning",
        message=f"{len(lost)} of {counted(len(ended), 'trial')} ended without a value of the "
        "objective: the search learned nothing from them.",
        evidence=", ".join(lost[:_MOST_NAMES]) + more,
        advice=f"Read the log of one: `whippet logs {lost[0]}`.",
    )


def _constant(trials: Trials) -> Iterator[LintFinding]:
    measured = trials.measured
    values = measured["objective"]
    different = len(trials.parameters.loc[measured.index].drop_duplicates())
    if len(values) < 3 or different < 2 or values.nunique() > 1:
        return
    yield LintFinding(
        code="objective-constant",
        severity="error",
        message=f"All {len(values)} trials have the same {trials.metric}: either the "
        "hyperparameters do not reach the training, or the number does not depend on "
        "them.",
        evidence=f"{trials.metric} = {values.iloc[0]:g}, {different} different trials",
        advice="Check that the script uses its arguments, and what the objective's regex reads.",
    )


def _scales_with_batch(trials: Trials, classes: int) -> Iterator[LintFinding]:
    """Find a loss that is proportional to the batch size, or to its inverse.

    Log loss is regressed on log batch size, with log lr beside it when that was searched too:
    small batches learn more in an epoch, and so does a higher lr. Proportional means a slope of
    1 +- 0.25 at a partial correlation of 0.9, four trials, batch sizes that differ twofold, and
    losses that no mean over images has: above ln(classes) in half of the trials of the largest
    batch. No such bound exists for 1/batch, so that needs six trials, three sizes and 0.97.
    """
    table = _batch_table(trials)
    if table is None or kind_of(trials.metric) != "loss":
        return
    slope, correlation = _slope(table)
    sizes, trial_count = table["batch"].nunique(), len(table)
    largest = table.loc[table["batch"] == table["batch"].max(), "loss"]
    if abs(abs(slope) - 1) > 0.25:
        return
    summed = slope > 0 and correlation >= 0.9 and largest.median() > math.log(classes)
    divided = slope < 0 and correlation <= -0.97 and trial_count >= 6 and sizes >= 3
    if not summed and not divided:
        return
    yield LintFinding(
        code="loss-scales-with-batch",
        severity="error" if summed else "warning",
        message=f"{trials.metric} grows with {'batch size' if summed else '1 / batch size'}: the "
        f"search prefers {'small' if summed else 'large'} batches because of the "
        "arithmetic, not because of the model.",
        evidence=f"slope {slope:.2f} of log loss on log batch size, partial correlation "
        f"{correlation:.2f}, {trial_count} trials, {sizes} batch sizes",
        advice="Average the loss over images: sum up mean loss x batch size, then divide by "
        "the number of images.",
    )


def _batch_table(trials: Trials) -> pd.DataFrame | None:
    """Return ``loss``, ``batch`` and, if it varies, ``lr`` of the finished trials, all positive."""
    batch = _first(trials.parameters, _BATCH_SIZES)
    if batch is None:
        return None
    columns = {"loss": trials.frame["objective"], "batch": trials.parameters[batch]}
    rate = _first(trials.parameters, _LEARNING_RATES)
    if rate is not None and trials.parameters[rate].nunique() > 1:
        columns["lr"] = trials.parameters[rate]
    table = pd.DataFrame(columns)[trials.frame["status"].isin(["Completed", "Stopped"])].dropna()
    table = table[(table > 0).all(axis=1)]
    few = len(table) < 4 or table["batch"].max() < 2 * table["batch"].min()
    return None if few else table


def _first(parameters: pd.DataFrame, names: tuple[str, ...]) -> str | None:
    numeric = parameters.select_dtypes("number").columns
    return next((name for name in names if name in numeric), None)


def _slope(table: pd.DataFrame) -> tuple[float, float]:
    """Return slope and partial correlation of log loss with log batch size; 0 when undefined."""
    logs = np.log(table.to_numpy(dtype="float64"))
    others = np.column_stack([np.ones(len(logs)), *logs[:, 2:].T])
    loss, batch = (
        column - others @ np.linalg.lstsq(others, column, rcond=None)[0]
        for column in (logs[:, 0], logs[:, 1])
    )
    spread, size = float(batch @ batch), float(loss @ loss)
    if len(logs) - others.shape[1] < 2 or spread < 1e-9 or size < 1e-12:
        return 0.0, 0.0
    shared = float(loss @ batch)
    return shared / spread, shared / math.sqrt(spread * size)
