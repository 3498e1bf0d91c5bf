"""The sections of a run's report on where the time went and whether the tensors stayed healthy."""

from __future__ import annotations

from typing import Any

from dashboards.frames import TrainingOutput
from dashboards.health_figures import (
    broken_tensors,
    get_layers_info,
    get_loss_info,
    layers_figure,
    loss_figure,
)
from dashboards.markup import Block, Section, callout, facts, grid, paragraph, plot
from dashboards.step_figures import (
    PhaseShareInfo,
    get_phase_share_info,
    get_phase_timeline_info,
    get_step_time_info,
    phase_share_figure,
    phase_timeline_figure,
    step_time_figure,
)
from dashboards.system_figures import get_system_info, system_figure

MAX_BROKEN = 10


def time_section(output: TrainingOutput) -> Section:
    """Return the job's stages, its step phases and what the machine did meanwhile."""
    shares = get_phase_share_info(output.steps, output.summary)
    return Section(
        anchor="time",
        title="Step phases and system use",
        blocks=[
            paragraph(_time_sentence(shares)),
            _stage_facts(output),
            plot(
                "phase-share",
                "Share of each phase",
                phase_share_figure(shares),
                "Data wait: the step had to wait for the loader. Transfer: copy to the device.",
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
            plot("system", "System use", system_figure(get_system_info(output.system))),
        ],
    )


def health_section(output: TrainingOutput) -> Section:
    """Return loss by step and the tensors' statistics by layer; NaN and infinities first."""
    reductions = output.reductions
    kinds = [
        ("gradients", "abs_mean", True, "Gradients: mean absolute value by layer"),
        ("update_ratios", "abs_mean", True, "Update ratio: change of the weights per step"),
        ("weights", "abs_mean", True, "Weights: mean absolute value by layer"),
        ("relu_output", "zero_fraction", False, "Share of ReLU outputs that are zero"),
    ]
    present = set(reductions["collection"].unique())
    plots = [
        plot(
            f"layers-{collection}",
            title,
            layers_figure(get_layers_info(reductions, collection, column, logarithmic=logarithmic)),
        )
        for collection, column, logarithmic, title in kinds
        if collection in present or collection == "gradients"
    ]
    broken = [
        (f"{collection} {name} from step {step}", f"{nan:,} NaN, {inf:,} infinite")
        for collection, name, step, nan, inf in broken_tensors(reductions)
    ]
    more = (
        [(f"and {len(broken) - MAX_BROKEN} more tensors", "")] if len(broken) > MAX_BROKEN else []
    )
    return Section(
        anchor="health",
        title="Tensor health",
        blocks=[
            _health_sentence(output, bool(broken)),
            callout("Values that are not numbers", [*broken[:MAX_BROKEN], *more]),
            plot("step-loss", "Loss of every step", loss_figure(get_loss_info(reductions))),
            grid(*plots),
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


def _stage_facts(output: TrainingOutput) -> Block:
    training, summary = output.training, output.summary
    seconds: dict[str, Any] = training.get("seconds") or {}
    times: dict[str, Any] = summary.get("step_seconds") or {}
    rate = training.get("images_per_second")
    pairs: list[tuple[str, object]] = [
        *((stage, f"{value:,.1f} s") for stage, value in seconds.items() if value is not None),
        ("images a second", f"{rate:,.0f}" if isinstance(rate, int | float) else None),
        *(
            (f"step {name}", f"{value * 1_000:,.1f} ms")
            for name, value in times.items()
            if value is not None
        ),
        ("device", training.get("device")),
    ]
    return facts([(label, value) for label, value in pairs if value is not None])


def _health_sentence(output: TrainingOutput, broken: bool) -> Block:
    recorded = output.summary.get("reductions") or {}
    if output.reductions.empty:
        return paragraph("The job recorded no tensor statistics.")
    dropped = recorded.get("dropped") or 0
    lost = f" {dropped:,} records were dropped to keep the overhead low." if dropped else ""
    state = "" if broken else " No value was NaN or infinite."
    return paragraph(f"{len(output.reductions):,} statistics were recorded.{state}{lost}")
