"""The report of one run: everything known about it, as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dashboards.files.frames import TrainingOutput
from dashboards.files.trials import Trials
from dashboards.page.page import render_page
from dashboards.sections.fine_tuning import FineTuned, fine_tuning_section
from dashboards.sections.health import health_section, tensors_section
from dashboards.sections.judgement import rules_section, verdict_section
from dashboards.sections.network import EndpointPrice, network_section
from dashboards.sections.performance import profiler_section, time_section
from dashboards.sections.pictures import pictures_section
from dashboards.sections.quality import confusion_section, curves_section, mistakes_section
from dashboards.sections.run import (
    configuration_section,
    data_section,
    overview_section,
    tuning_section,
)
from dashboards.sections.sagemaker import SageMakerRule, sagemaker_section
from sm_entrypoints.contract.files import write_atomically
from sm_entrypoints.contract.networks import NetworksDocument


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Report:
    """What a report shows; any part may be missing, and the report then says so.

    ``overview`` are the key facts, most important first. ``data`` is the dict of the data check.
    ``search`` is a sentence on how the trials were made, and why so.
    ``networks`` is the choice of a network, ``endpoint_price`` what serving it costs.
    ``fine_tuning`` is what the training of all layers brought, None where there was none.
    ``endpoint`` and ``best_hyperparameters`` are shown as names and values. ``configuration`` adds
    titled groups (such as the flow's parameters) to what the job recorded about itself.
    ``commands`` are labelled command lines that apply the verdict's change. ``sagemaker_rules`` is
    what SageMaker's own profiler report said about the job. ``generated_at`` must
    know its time zone; UTC is shown.
    """

    title: str
    run_name: str
    generated_at: datetime
    overview: Sequence[tuple[str, object]] = ()
    warnings: Sequence[str] = ()
    data: Mapping[str, Any] | None = None
    trials: Trials | None = None
    search: str = ""
    networks: NetworksDocument | None = None
    endpoint_price: EndpointPrice = field(default_factory=EndpointPrice)
    fine_tuning: FineTuned | None = None
    best_hyperparameters: Mapping[str, Any] | None = None
    training: TrainingOutput
    endpoint: Mapping[str, Any] | None = None
    configuration: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    commands: Sequence[tuple[str, str]] = ()
    sagemaker_rules: Sequence[SageMakerRule] = ()


def render_report(report: Report) -> str:
    """Return the report as one HTML page that needs no network and no other file.

    Raises:
        ValueError: ``generated_at`` has no time zone.
    """
    if report.generated_at.tzinfo is None:
        raise ValueError(f"generated_at needs a time zone, but got {report.generated_at!r}")
    moment = report.generated_at.astimezone(UTC)
    output = report.training
    overview = overview_section(report.overview, report.warnings, report.endpoint)
    verdict = verdict_section(output.findings, report.commands)
    # A job without a verdict has nothing to say on top; it says so below its key facts.
    first = [verdict, overview] if output.findings.judged else [overview, verdict]
    theirs = report.sagemaker_rules
    sections = [
        *first,
        rules_section(output.findings),
        *([sagemaker_section(theirs, output.findings.rules)] if theirs else []),
        data_section(report.data),
        *([pictures_section(output.pictures)] if output.pictures else []),
        *([network_section(report.networks, report.endpoint_price)] if report.networks else []),
        tuning_section(report.trials, report.best_hyperparameters, report.search),
        *([fine_tuning_section(report.fine_tuning)] if report.fine_tuning else []),
        curves_section(output),
        confusion_section(output),
        mistakes_section(output),
        time_section(output),
        profiler_section(output),
        health_section(output),
        tensors_section(output),
        configuration_section(output, report.configuration),
    ]
    return render_page(
        title=report.title,
        subtitle=f"{report.run_name} · {moment:%Y-%m-%d %H:%M} UTC",
        footer="Written by Whippet. Times are UTC. This page is self-contained.",
        sections=sections,
    )


def write_report(path: Path, report: Report) -> int:
    """Write the page to ``path``, atomically, and return its size in bytes.

    The folder is created if it is missing. A reader sees the old page or the new one, never a
    partial one.

    Raises:
        OSError: the folder cannot be made or written.
    """
    page = render_report(report).encode()
    write_atomically(path, page)
    return len(page)
