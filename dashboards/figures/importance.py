"""Which hyperparameters mattered: their importance in a tuning job's trials."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
import optuna
import pandas as pd
import plotly.graph_objects as go

from dashboards.figures.series import is_logarithmic
from dashboards.figures.theme import BLUE, message_figure, new_figure, plain
from dashboards.files.reading import Floats
from dashboards.files.trials import Direction, Trials

MIN_TRIALS_FOR_IMPORTANCE = 4


class ImportanceInfo(NamedTuple):
    """Share of each hyperparameter (sum 1) in reaching the best trials, largest first."""

    parameters: list[str]
    shares: list[float]
    message: str | None = None


def get_importance_info(trials: Trials) -> ImportanceInfo:
    """Return PED-ANOVA importances of the tuned hyperparameters (arXiv:2304.10255, by Optuna).

    They answer: which hyperparameter separates the best quarter (at least five trials, if there
    are twice as many) from the rest? Optuna's fANOVA would need scikit-learn here.
    """
    measured = trials.measured[trials.measured["status"] != "Failed"]
    if len(measured) < MIN_TRIALS_FOR_IMPORTANCE:
        return ImportanceInfo(
            [],
            [],
            f"Too few trials: importances need {MIN_TRIALS_FOR_IMPORTANCE} measured trials, "
            f"there are {len(measured)}.",
        )
    parameters = trials.parameters.loc[measured.index]
    varied = [name for name in parameters.columns if parameters[name].nunique(dropna=False) > 1]
    objectives = measured["objective"].to_numpy()
    if not varied or np.ptp(objectives) == 0:
        return ImportanceInfo([], [], "No importances: every trial had the same outcome or values.")
    count = len(objectives)
    quantile = min(0.5, max(0.25, 5 / count))
    study = _study(parameters[varied], objectives, trials.direction)
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=quantile)
    best = np.sort(objectives if trials.direction == "Minimize" else -objectives)
    if best[int(np.ceil(quantile * count)) - 1] == best[-1]:
        return ImportanceInfo([], [], "No importances: too many trials share one objective value.")
    shares = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return ImportanceInfo(list(shares), [float(share) for share in shares.values()])


def importance_figure(info: ImportanceInfo) -> go.Figure:
    """Return the importances as horizontal bars, the largest on top."""
    if info.message:
        return message_figure(info.message)
    figure = new_figure(height=90 + 34 * len(info.parameters))
    figure.add_bar(
        x=info.shares,
        y=[plain(name) for name in info.parameters],
        orientation="h",
        marker_color=BLUE,
        text=[f"{share:.0%}" for share in info.shares],
        textposition="auto",
        hovertemplate="%{y}: %{x:.1%}<extra></extra>",
    )
    figure.update_xaxes(title_text="share of importance", tickformat=".0%", rangemode="tozero")
    figure.update_yaxes(type="category", autorange="reversed")
    return figure


def _study(parameters: pd.DataFrame, objectives: Floats, direction: Direction) -> optuna.Study:
    spaces = {str(name): _distribution(parameters[name]) for name in parameters.columns}
    study = _quiet_study("minimize" if direction == "Minimize" else "maximize")
    for row, objective in enumerate(objectives):
        values = {name: parameters[name].iloc[row] for name in spaces}
        present = {name: value for name, value in values.items() if not pd.isna(value)}
        study.add_trial(
            optuna.trial.create_trial(
                params=present,
                distributions={name: spaces[name] for name in present},
                value=float(objective),
            )
        )
    return study


def _distribution(values: pd.Series[Any]) -> optuna.distributions.BaseDistribution:
    if values.dtype == object:
        return optuna.distributions.CategoricalDistribution(sorted(set(values)))
    numbers = values.to_numpy(dtype="float64")
    return optuna.distributions.FloatDistribution(
        float(np.nanmin(numbers)), float(np.nanmax(numbers)), log=is_logarithmic(numbers)
    )


def _quiet_study(direction: Literal["minimize", "maximize"]) -> optuna.Study:
    """Return an empty study in memory, without Optuna's line on stderr about it."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return optuna.create_study(direction=direction)
    finally:
        optuna.logging.set_verbosity(verbosity)
