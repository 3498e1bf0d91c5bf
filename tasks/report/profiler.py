"""What the artifact ``profiler-summary`` says: verdict, rules, and where the time went."""

from __future__ import annotations

from collections.abc import Mapping

from dashboards.artifacts.charts import (
    cpu_timeline_svg,
    markdown_image,
    phase_share_svg,
    step_time_svg,
)
from dashboards.artifacts.tables import markdown_table, markdown_text
from dashboards.files.findings import ISSUES, NOT_APPLICABLE, Findings, Verdict
from dashboards.files.frames import TrainingOutput
from dashboards.sections.judgement import LABELS, change_text
from sm_entrypoints import contract
from sm_entrypoints.contract.sentences import clause, counted
from tasks.report.content import number


def profiler_markdown(output: TrainingOutput) -> str:
    """Return the profiler summary: the verdict, the rules, and three charts of the time."""
    phases: Mapping[str, Mapping[str, float]] = output.summary.get("phase_seconds", {})
    rows = [
        {"phase": phase, **{mode: number(parts.get(phase)) for mode, parts in phases.items()}}
        for phase in contract.STEP_PHASES
    ]
    return "\n".join(
        [
            "# Profiler summary",
            "",
            *_verdict_lines(output.findings),
            *_rule_lines(output.findings),
            "## Where the time went",
            "",
            "Seconds in each phase of the steps, the steps' times, and the CPU over time.",
            "",
            markdown_table(rows, ["phase", *phases]),
            "",
            markdown_image(phase_share_svg(output.steps, output.summary), "Share of each phase"),
            "",
            markdown_image(step_time_svg(output.steps), "Step times"),
            "",
            markdown_image(cpu_timeline_svg(output.system), "CPU over time"),
        ]
    )


def _verdict_lines(findings: Findings) -> list[str]:
    stop, verdict = findings.stopped_by, findings.verdict
    lines = []
    if stop is not None:
        where = f"{stop.mode} step {stop.step} of epoch {stop.epoch}"
        told = f": {stop.message}" if stop.message else ""
        lines += [f"**Stopped by the rule {markdown_text(f'{stop.rule} at {where}{told}')}**", ""]
    if verdict is None:
        return lines if findings.judged else [*lines, "No rules were applied to this job.", ""]
    return [*lines, *_verdict(verdict)]


def _verdict(verdict: Verdict) -> list[str]:
    rule = f" ({markdown_text(verdict.rule)})" if verdict.rule else ""
    lines = [
        f"## Verdict: {LABELS[verdict.severity].lower()}{rule}",
        "",
        f"**{markdown_text(verdict.sentence)}**",
        "",
        *(f"- {markdown_text(line)}" for line in verdict.evidence),
        "",
    ]
    if verdict.advice:
        lines += [markdown_text(verdict.advice), ""]
    if verdict.change:
        lines += [f"Change: **{markdown_text(change_text(verdict.change))}**", ""]
    if verdict.gain:
        reasoning = f" ({markdown_text(clause(verdict.reasoning))})" if verdict.reasoning else ""
        lines += [f"Expected gain: {markdown_text(verdict.gain)}{reasoning}.", ""]
    return lines


def _rule_lines(findings: Findings) -> list[str]:
    if not findings.rules:
        return []
    applied = [rule for rule in findings.rules if rule.status != NOT_APPLICABLE]
    rows: list[dict[str, object]] = [
        {
            "rule": rule.rule,
            "status": "found issues" if rule.status == ISSUES else "no issues",
            "triggered": rule.triggered,
            "datapoints": f"{rule.violations:,} of {rule.datapoints:,}" if rule.datapoints else "-",
            "recommendation": rule.recommendation if rule.status == ISSUES else "",
        }
        for rule in applied
    ]
    absent = len(findings.rules) - len(applied)
    columns = {
        "rule": "rule",
        "status": "status",
        "triggered": "times triggered",
        "datapoints": "violations",
        "recommendation": "recommendation",
    }
    more = [f"{counted(absent, 'rule')} had nothing to examine.", ""] if absent else []
    table = [markdown_table(rows, columns), ""] if rows else []
    return ["## Rules", "", *table, *more]
