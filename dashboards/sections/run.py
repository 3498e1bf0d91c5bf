"""The report's sections on what was done: overview, data, tuning and configuration.

How good the model is belongs to :mod:`dashboards.sections.quality`, where the time went to
:mod:`dashboards.sections.performance`. Each function takes only what it shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dashboards.figures.data import (
    class_counts_figure,
    get_class_counts_info,
    get_sizes_info,
    sizes_figure,
)
from dashboards.figures.tuning import (
    get_history_info,
    get_learning_info,
    get_parallel_info,
    history_figure,
    learning_figure,
    parallel_figure,
)
from dashboards.files.frames import TrainingOutput
from dashboards.files.trials import Trials
from dashboards.page.markup import (
    Block,
    Section,
    callout,
    empty_section,
    facts,
    grid,
    heading,
    paragraph,
    plot,
    table,
)
from sm_entrypoints.contract.sentences import counted, joined

MAX_WARNING_PATHS = 5
# Rows of the trial table: where there are more, the best; trials.csv has all.
MAX_TRIALS = 20


def overview_section(
    overview: Sequence[tuple[str, object]],
    warnings: Sequence[str],
    endpoint: Mapping[str, Any] | None,
) -> Section:
    """Return the key facts, what to look at first, and how to reach the endpoint."""
    blocks = [facts(overview), callout("Look at this first", [(line, "") for line in warnings])]
    if endpoint:
        told = [(name.replace("_", " "), value) for name, value in endpoint.items()]
        blocks += [heading("Endpoint"), facts(told, "list")]
    return Section(anchor="overview", title="Overview", blocks=blocks)


# What the check's hashes see of copies, and who sees the rest.
COPIES = (
    "The check looks for copies of pictures in other splits by small hashes: those that were "
    "scaled, compressed again, mirrored, or changed in contrast or brightness. It hardly sees "
    "crops: they are found by a network's features, in the report of a run and by `whippet data` "
    "(“Pictures”)."
)


def data_section(data: Mapping[str, Any] | None) -> Section:
    """Return what the data check saw: counts, sizes and its warnings."""
    if not data:
        return empty_section("data", "Data", "The data was not checked in this run.")
    splits = data.get("splits") or {}
    counted = [(f"{name} images", split.get("images")) for name, split in splits.items()]
    size = data.get("bytes")
    figures = [
        ("data set", data.get("name")),
        ("classes", len(data.get("classes") or [])),
        *counted,
        ("size", f"{size / 1e6:,.1f} MB" if isinstance(size, int | float) else None),
        ("splits made by", data.get("split_source")),
        ("fingerprint", str(data.get("fingerprint") or "")[:12]),
    ]
    warnings = [_data_warning(warning) for warning in data.get("warnings") or []]
    return Section(
        anchor="data",
        title="Data",
        blocks=[
            facts(figures),
            callout("The data check warns", warnings),
            paragraph(COPIES, "note"),
            plot(
                "images-per-class",
                "Images per class",
                class_counts_figure(get_class_counts_info(data)),
            ),
            plot("image-sizes", "Image sizes", sizes_figure(get_sizes_info(data))),
        ],
    )


def tuning_section(
    trials: Trials | None, best: Mapping[str, Any] | None, search: str = ""
) -> Section:
    """Return the trials, the winner, and what made the difference; ``search`` says how and why."""
    if trials is None:
        return empty_section("tuning", "Tuning", "No search ran: the hyperparameters were given.")
    goal = "lower" if trials.direction == "Minimize" else "higher"
    return Section(
        anchor="tuning",
        title="Tuning",
        blocks=[
            paragraph(
                joined(
                    search,
                    f"{counted(len(trials.frame), 'trial')}, {len(trials.measured)} with a result",
                    f"Objective: {trials.metric}, {goal} is better",
                )
            ),
            *([heading("Best hyperparameters"), facts(best.items())] if best else []),
            *_tuning_plots(trials),
            heading(
                "Trials" if len(trials.frame) <= MAX_TRIALS else f"The best {MAX_TRIALS} trials"
            ),
            _trial_table(trials),
        ],
    )


def configuration_section(
    output: TrainingOutput, configuration: Mapping[str, Mapping[str, Any]]
) -> Section:
    """Return the arguments, the model and the versions, to run the same thing again."""
    training = output.training
    own = {
        "Training arguments": training.get("arguments"),
        "Model": training.get("model"),
        "Versions": training.get("versions"),
    }
    blocks: list[Block] = []
    for title, values in {**own, **configuration}.items():
        if isinstance(values, Mapping) and values:
            blocks += [heading(title), facts(values.items(), "list")]
    missing = paragraph("No configuration was recorded.", "empty")
    return Section(anchor="configuration", title="Configuration", blocks=blocks or [missing])


def _tuning_plots(trials: Trials) -> list[Block]:
    # Deferred: Optuna takes a fifth of a second to import, and only a search needs it.
    from dashboards.figures.importance import get_importance_info, importance_figure

    history = plot("tuning-history", "Progress", history_figure(get_history_info(trials)))
    importance = plot(
        "tuning-importance",
        "Which hyperparameter mattered",
        importance_figure(get_importance_info(trials)),
        "PED-ANOVA: what distinguishes the best trials from the rest.",
    )
    parallel = plot(
        "tuning-parallel",
        "Hyperparameters and outcome of each trial",
        parallel_figure(get_parallel_info(trials)),
        "One line per trial; the best one is orange, worse ones fade.",
    )
    learning = learning_figure(get_learning_info(trials))
    if not trials.histories:
        return [parallel, grid(history, importance)]
    curves = plot("tuning-learning", "Learning curves", learning)
    return [parallel, grid(history, curves), importance]


def _trial_table(trials: Trials) -> Block:
    columns = ("trial", "name", "status", trials.metric, "seconds")
    frame, best = trials.frame, trials.best
    if len(frame) > MAX_TRIALS:
        lowest_first = trials.direction == "Minimize"
        frame = frame.sort_values("objective", ascending=lowest_first, kind="stable")[:MAX_TRIALS]
    marked = list(frame.index).index(best) if best in frame.index else None
    trial_columns = frame[["trial", "name", "status", "objective", "seconds"]]
    rows = [
        (*left, *right)
        for left, right in zip(
            trial_columns.itertuples(index=False),
            trials.parameters.loc[frame.index].itertuples(index=False),
            strict=True,
        )
    ]
    return table((*columns, *trials.parameters.columns), rows, marked=marked)


def _data_warning(warning: Mapping[str, Any]) -> tuple[str, str]:
    paths = [str(path) for path in warning.get("paths") or []]
    more = len(paths) - MAX_WARNING_PATHS
    detail = ", ".join(paths[:MAX_WARNING_PATHS]) + (f" and {more} more" if more > 0 else "")
    return str(warning.get("message") or warning.get("code") or ""), detail
