"""Lint a packed search, whose trials are in one job: from the trial table that it delivered."""

from __future__ import annotations

import pandas as pd

from dashboards.files.packed_search import PackedSearch
from dashboards.files.trials import read_trials
from platforms import Platform
from platforms.sagemaker_types import TrainingJob
from sm_entrypoints import contract
from sm_entrypoints.contract.search import SEARCH_HYPERPARAMETER, SearchPlan
from sm_entrypoints.contract.wire import from_wire
from tasks.lint.findings import LintFinding, worst_first
from tasks.lint.log_metrics import series_of
from tasks.lint.search import lint_search
from tasks.lint.trials import merge_trials
from tasks.lint.values import Measured, lint_values
from tasks.parameters.ranges import edges_of, range_of
from tasks.requests.packed_search import delivered_search


def lint_packed_search(
    platform: Platform, job: TrainingJob, classes: int | None = None
) -> list[LintFinding]:
    """Return what is wrong with a described packed search: its trials, and their epochs.

    Raises:
        ParameterError: it delivered no trials.
    """
    found = delivered_search(platform, job)
    trials = read_trials(found.summaries, found.histories)
    plan = SearchPlan.from_json(job["HyperParameters"][SEARCH_HYPERPARAMETER])
    findings = lint_search(trials, edges=_edges(found, plan), classes=classes)
    histories = {
        name: lint_values(_measured(history, classes)) for name, history in found.histories.items()
    }
    return worst_first([*findings, *merge_trials(histories)])


def _measured(history: pd.DataFrame, classes: int | None) -> Measured:
    series = [series_of(str(name), history[name].dropna()) for name in history if name != "epoch"]
    return Measured(series=series, objective=contract.OBJECTIVE_METRIC, classes=classes)


def _edges(found: PackedSearch, plan: SearchPlan) -> dict[str, str]:
    values = from_wire(found.best["TunedHyperParameters"]) if found.best else {}
    return edges_of(values, {name: range_of(span.document()) for name, span in plan.ranges.items()})
