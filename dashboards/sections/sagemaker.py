"""The report's section that compares SageMaker's own profiler report with our rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dashboards.files.findings import ISSUES, NOT_APPLICABLE, RuleOutcome
from dashboards.page.markup import Section, paragraph, table
from sm_entrypoints.contract.sentences import counted

# SageMaker samples every 500 ms unless the job's ProfilerConfig says otherwise.
_USUAL_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class SageMakerRule:
    """A ``profiler-reports/<Rule>.json`` that SageMaker's ProfilerReport wrote.

    ``parameters`` are the thresholds in ``RuleParameters``, as text.
    """

    rule: str
    triggered: int
    violations: int
    datapoints: int
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def patience(self) -> float | None:
        """Samples that the rule waits for before it may fire."""
        try:
            return float(self.parameters["patience"])
        except (KeyError, ValueError):
            return None


def sagemaker_section(theirs: Sequence[SageMakerRule], ours: Sequence[RuleOutcome]) -> Section:
    """Return SageMaker's rules beside ours of the same name, and why they differ."""
    by_name = {rule.rule: rule for rule in ours}
    rows = []
    for rule in sorted(theirs, key=lambda rule: (-rule.triggered, rule.rule)):
        own = by_name.get(rule.rule)
        rows.append(
            (
                rule.rule,
                f"{rule.triggered:,}",
                f"{rule.violations:,}",
                f"{rule.datapoints:,}",
                _ours(own),
                why_different(rule, own),
            )
        )
    columns = ("rule", "times triggered", "violations", "datapoints", "here", "compared")
    lead = "SageMaker's own ProfilerReport for this job, compared with the rules above."
    return Section(
        anchor="sagemaker",
        title="SageMaker's report",
        blocks=[paragraph(lead), table(columns, rows)],
    )


def why_different(theirs: SageMakerRule, ours: RuleOutcome | None) -> str:
    """Return in words how SageMaker's outcome of a rule compares with ours."""
    if ours is None:
        return "no rule of that name was evaluated here"
    if ours.status == NOT_APPLICABLE:
        return f"does not apply here: {ours.reason}"
    fired, fired_here = theirs.triggered > 0, ours.status == ISSUES
    if fired == fired_here:
        return "both agree"
    if fired:
        return f"not found here; the threshold here: {ours.threshold}"
    patience = theirs.patience
    if patience is not None and theirs.datapoints <= patience:
        return (
            f"SageMaker's rule waits for {patience:,.0f} samples "
            f"({_duration(patience * _USUAL_SECONDS)} at its usual 500 ms) and got "
            f"{theirs.datapoints:,}; the patience here is scaled to the job's length"
        )
    return f"found only here; the threshold here: {ours.threshold}"


def _ours(rule: RuleOutcome | None) -> str:
    if rule is None or rule.status == NOT_APPLICABLE:
        return "-"
    return f"{counted(rule.triggered, 'trigger')} in {counted(rule.datapoints, 'datapoint')}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"
