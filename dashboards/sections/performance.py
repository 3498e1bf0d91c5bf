"""The report's sections on where the time went: stages, steps, machine, loader, operators.

The health of tensors is in :mod:`dashboards.sections.health`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dashboards.figures.step_times import (
    get_outlier_info,
    get_step_time_info,
    outlier_figure,
    step_time_figure,
)
from dashboards.figures.steps import (
    PhaseShareInfo,
    get_phase_share_info,
    get_phase_timeline_info,
    phase_share_figure,
    phase_timeline_figure,
)
from dashboards.figures.system import get_system_info, system_figure, system_statistics
from dashboards.figures.theme import BLUE, GREEN, GREY, ORANGE, YELLOW
from dashboards.figures.workers import (
    NO_OPERATORS,
    OperatorRow,
    WorkersInfo,
    get_operator_rows,
    get_workers_info,
    workers_figure,
)
from dashboards.files.frames import TrainingOutput
from dashboards.page.markup import (
    Block,
    Section,
    bars,
    facts,
    folded,
    grid,
    heading,
    paragraph,
    plot,
    share_bar,
    table,
)
from sm_entrypoints.contract import (
    INSTRUMENTATION_FOLDER,
    TAIL_ALONE,
    TRACE_FILE,
    WHOLE_NETWORK,
)

OPEN_OPERATORS = 15
# Stages of training.json: what they are called here, and their colours.
_STAGES = {
    "start_up": ("start-up (interpreter and imports)", YELLOW),
    "initialization": ("initialization (data and network)", ORANGE),
    "training": ("training", BLUE),
    "evaluation": ("evaluation", GREEN),
    "finalization": ("finalization", GREY),
}


def time_section(output: TrainingOutput) -> Section:
    """Return the job's stages, its step phases and what the machine did meanwhile."""
    shares = get_phase_share_info(output.steps, output.summary)
    statistics = system_statistics(output.system)
    system = table(("metric", "max", "p99", "p95", "p50", "min"), statistics)
    return Section(
        anchor="time",
        title="Step phases and system use",
        blocks=[
            paragraph(_time_sentence(shares)),
            *_features_sentence(output),
            _stage_bar(output),
            _stage_facts(output),
            plot(
                "phase-share",
                "Share of each phase",
                phase_share_figure(shares),
                "Data wait: the step waited for the loader. Transfer: copy to the device.",
            ),
            grid(
                plot(
                    "phase-timeline",
                    "Phases over time",
                    phase_timeline_figure(get_phase_timeline_info(output.steps)),
                ),
                plot(
                    "step-times",
                    "Step times",
                    step_time_figure(get_step_time_info(output.steps)),
                ),
            ),
            plot(
                "step-outliers",
                "Steps that stand out",
                outlier_figure(get_outlier_info(output.steps)),
                "Red: longer than the mean by more than three standard deviations.",
            ),
            plot("system", "System use", system_figure(get_system_info(output.system))),
            *([folded("System use in figures", system)] if statistics else []),
        ],
    )


def profiler_section(output: TrainingOutput) -> Section:
    """Return the loader's workers, the operators of the profiled window and its trace."""
    processes = output.summary.get("workers")
    workers = get_workers_info(output.workers, processes if isinstance(processes, int) else None)
    operators = get_operator_rows(output.operators)
    return Section(
        anchor="profiler",
        title="Data loader and operators",
        blocks=[
            plot(
                "workers",
                "Loader workers",
                workers_figure(workers),
                "Share of each moment in which a worker made batches. Idle time is fine as long "
                "as no step waits.",
            ),
            *([_worker_table(workers)] if workers.workers else []),
            heading("Operators"),
            *_operator_blocks(operators, output),
        ],
    )


def _time_sentence(shares: PhaseShareInfo) -> str:
    if shares.message:
        return "The job recorded no step phases."
    mode = shares.modes[0]
    phase = max(shares.shares, key=lambda name: shares.shares[name][0])
    return (
        f"Most of the {mode} time, {shares.shares[phase][0]:.0%}, "
        f"went into {phase.replace('_', ' ')}; "
        f"waiting for data took {shares.shares['data_wait'][0]:.0%}."
    )


def _features_sentence(output: TrainingOutput) -> list[Block]:
    """Say which steps ran what, where not all ran the same."""
    epoch, summary = output.training.get("features_from_epoch"), output.summary
    tail, every = (summary.get(name) or {} for name in ("tail_steps", "steps"))
    if not isinstance(epoch, int) or not 0 < tail.get("TRAIN", 0) < every.get("TRAIN", 0):
        return []
    return [
        paragraph(
            f"The whole network ran until epoch {epoch - 1}. From epoch {epoch} on the head "
            "learned from the features that the frozen layers had given: the same numbers in a "
            "fraction of the time. Rules and figures tell these steps apart."
        )
    ]


def _stage_bar(output: TrainingOutput) -> Block:
    seconds: dict[str, Any] = output.training.get("seconds") or {}
    parts = [
        (label, float(seconds[stage]), color)
        for stage, (label, color) in _STAGES.items()
        if isinstance(seconds.get(stage), int | float)
    ]
    return share_bar("Where the job's time went", parts, "s")


def _stage_facts(output: TrainingOutput) -> Block:
    training, summary = output.training, output.summary
    times: dict[str, Any] = summary.get("step_seconds") or {}
    total = (training.get("seconds") or {}).get("total")
    rate = training.get("images_per_second")
    process: dict[str, Any] = (summary.get("process") or {}).get("rss_bytes") or {}
    pairs: list[tuple[str, object]] = [
        ("total", f"{total:,.1f} s" if isinstance(total, int | float) else None),
        ("images per second", f"{rate:,.0f}" if isinstance(rate, int | float) else None),
        *_rate_facts(training.get("images_per_second_by_network") or {}),
        *_step_facts("step", times),
        *_step_facts("step on features", summary.get("tail_step_seconds") or {}),
        *(
            (f"process memory, {name}", f"{value / 1e6:,.0f} MB")
            for name, value in process.items()
            if isinstance(value, int | float)
        ),
        ("device", training.get("device")),
        ("cores", summary.get("cores")),
        ("threads", summary.get("threads") or training.get("threads")),
        ("loader workers", summary.get("workers")),
    ]
    return facts([(label, value) for label, value in pairs if value is not None])


def _step_facts(label: str, times: Mapping[str, Any]) -> list[tuple[str, object]]:
    return [
        (f"{label} {name}", f"{value * 1_000:,.1f} ms")
        for name, value in times.items()
        if value is not None
    ]


def _rate_facts(rates: Mapping[str, float]) -> list[tuple[str, object]]:
    """Return the pace of each kind of epoch, where there were two."""
    if len(rates) < 2:
        return []
    names = {WHOLE_NETWORK: "the whole network", TAIL_ALONE: "features"}
    return [
        (f"images per second, {names.get(name, name)}", f"{rate:,.0f}")
        for name, rate in rates.items()
    ]


def _worker_table(info: WorkersInfo) -> Block:
    rows = [
        (name, batches, samples, seconds * 1_000, f"{share:.0%}")
        for name, batches, samples, seconds, share in zip(
            info.workers, info.batches, info.samples, info.mean_seconds, info.shares, strict=True
        )
    ]
    return table(("worker", "batches", "images", "ms per batch", "busy"), rows)


def _operator_blocks(operators: Sequence[OperatorRow], output: TrainingOutput) -> list[Block]:
    if not operators:
        return [paragraph(NO_OPERATORS, "empty")]
    window: dict[str, Any] = output.summary.get("operators") or {}
    steps = window.get("steps")
    lead = f"Of {steps} profiled steps" if steps else "Of the profiled window"
    blocks = [
        paragraph(f"{lead}, by time in the operator itself (self)."),
        _operator_table(operators[:OPEN_OPERATORS], operators[0].share),
    ]
    rest = operators[OPEN_OPERATORS:]
    if rest:
        blocks.append(
            folded(f"{len(rest)} more operators", _operator_table(rest, operators[0].share))
        )
    if output.trace_bytes is not None:
        blocks.append(
            paragraph(
                f"The whole window as a trace: {INSTRUMENTATION_FOLDER}/{TRACE_FILE} in the "
                f"job's output ({output.trace_bytes / 1e3:,.0f} kB). Open "
                "https://ui.perfetto.dev, choose “Open trace file” and select that file; "
                "nothing leaves your browser.",
                "note",
            )
        )
    return blocks


def _operator_table(operators: Sequence[OperatorRow], full: float) -> Block:
    device = any(row.device_seconds for row in operators)
    columns = ["operator", "calls", "self ms", "total ms"] + (["device ms"] if device else [])
    rows = [
        (
            row.name,
            row.calls,
            row.self_seconds * 1_000,
            row.total_seconds * 1_000,
            *([row.device_seconds * 1_000] if device else []),
        )
        for row in operators
    ]
    shares = [row.share for row in operators]
    return bars(columns, rows, shares, title="share of self time", full=full)
