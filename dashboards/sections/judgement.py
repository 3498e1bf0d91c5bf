"""The report's sections on what holds the training back: the verdict and the rules."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from dashboards.files.findings import ISSUES, NOT_APPLICABLE, Findings, Mark, RuleOutcome, Verdict
from dashboards.page.markup import (
    Block,
    Section,
    empty_section,
    folded,
    paragraph,
    shown,
    text,
)
from sm_entrypoints.contract.sentences import counted, ended

MAX_SHOWN_MARKS = 5
_DETAIL_CHARACTERS = 1_500
# The blank between a number and its unit.
_UNIT = re.compile(r"(?<=\d) (?=(?:%|ms|s|min|h|MB)(?!\w))")
# What a verdict is called, by its severity.
LABELS = {
    "error": "Problem",
    "warning": "Advice",
    "ok": "No change needed",
    "note": "Little evidence",
}
_STATUSES = {ISSUES: "issues", NOT_APPLICABLE: "none"}
_STATUS_TEXTS = {ISSUES: "found issues", NOT_APPLICABLE: "not applicable"}


def verdict_section(findings: Findings, commands: Sequence[tuple[str, str]]) -> Section:
    """Return the verdict: a sentence, its evidence, the change and what it should bring.

    ``commands`` are labelled command lines that apply the change.
    """
    blocks = [_stopped(findings.stopped_by)] if findings.stopped_by else []
    if findings.verdict is not None:
        blocks.append(_verdict(findings.verdict, commands))
    elif not blocks:
        blocks.append(paragraph("This job was not judged: it recorded no rules.", "empty"))
    return Section(anchor="verdict", title="Verdict", blocks=blocks)


def rules_section(findings: Findings) -> Section:
    """Return every rule: those that triggered first, silent and inapplicable ones folded."""
    if not findings.rules:
        return empty_section("rules", "Rules", "No rules were evaluated for this job.")
    triggered = [rule for rule in findings.rules if rule.status == ISSUES]
    absent = [rule for rule in findings.rules if rule.status == NOT_APPLICABLE]
    silent = [rule for rule in findings.rules if rule not in triggered and rule not in absent]
    total = len(findings.rules)
    order = "; most triggers first" if len(triggered) > 1 else ""
    blocks = [paragraph(f"{len(triggered)} of {counted(total, 'rule')} found something{order}.")]
    if triggered:
        blocks.append(_rule_table(triggered))
    if silent:
        blocks.append(folded(f"{_count(silent)} found nothing", _rule_table(silent)))
    if absent:
        blocks.append(folded(f"{_count(absent)} had nothing to examine", _rule_table(absent)))
    return Section(anchor="rules", title="Rules", blocks=blocks)


def change_text(change: Mapping[str, object]) -> str:
    """Return a change as settings, such as ``num_workers=2``, exactly as they are set."""
    return " ".join(
        f"{name}={value if isinstance(value, str) else json.dumps(value, default=str)}"
        for name, value in change.items()
    )


def _stopped(mark: Mark) -> Block:
    where = f"at {mark.mode} step {mark.step} of epoch {mark.epoch}"
    message = f"<p>{text(mark.message)}</p>" if mark.message else ""
    return Block(
        markup='<aside class="stopped" role="alert">'
        f"<strong>Stopped by the rule {text(mark.rule)} {text(where)}</strong>{message}"
        "<p>What the job recorded until then is below.</p></aside>"
    )


def _verdict(verdict: Verdict, commands: Sequence[tuple[str, str]]) -> Block:
    rule = f" · {text(verdict.rule)}" if verdict.rule else ""
    evidence = "".join(f"<li>{text(_unbroken(line))}</li>" for line in verdict.evidence)
    parts = [
        f'<p class="badge">{LABELS[verdict.severity]}{rule}</p>',
        f'<p class="sentence">{text(_unbroken(verdict.sentence))}</p>',
        f"<ul>{evidence}</ul>" if evidence else "",
        f"<p>{text(verdict.advice)}</p>" if verdict.advice else "",
        _change(verdict, commands),
        _gain(verdict),
        _others(verdict),
    ]
    return Block(markup=f'<div class="verdict {verdict.severity}">{"".join(parts)}</div>')


def _unbroken(sentence: str) -> str:
    """Return a sentence whose numbers keep their units in one line."""
    return _UNIT.sub("\u00a0", sentence)


def _change(verdict: Verdict, commands: Sequence[tuple[str, str]]) -> str:
    if not verdict.change:
        return ""
    lines = "".join(
        f'<div><span>{text(label)}</span><code class="command" tabindex="0">{text(command)}</code>'
        "</div>"
        for label, command in commands
    )
    change = f"<p>The one change to make: <code>{text(change_text(verdict.change))}</code></p>"
    return f'{change}<div class="commands">{lines}</div>' if lines else change


def _gain(verdict: Verdict) -> str:
    if not verdict.gain and not verdict.reasoning:
        return ""
    gain = f"<b>Expected gain:</b> {text(ended(verdict.gain))} " if verdict.gain else ""
    return f"<p>{gain}<small>{text(_unbroken(verdict.reasoning))}</small></p>"


def _others(verdict: Verdict) -> str:
    items = "".join(
        f"<li>{text(other.sentence)}"
        + (f" <code>{text(change_text(other.change))}</code>" if other.change else "")
        + (f"<small>{text(other.rule)}</small>" if other.rule else "")
        + "</li>"
        for other in verdict.others
    )
    if not items:
        return ""
    count = len(verdict.others)
    title = "One other finding" if count == 1 else f"{count} other findings"
    return f"<details><summary>{title}</summary><ul>{items}</ul></details>"


def _count(rules: Sequence[RuleOutcome]) -> str:
    return "One rule" if len(rules) == 1 else f"{len(rules)} rules"


def _rule_table(rules: Sequence[RuleOutcome]) -> Block:
    columns = ("status", "rule", "times triggered", "violations", "threshold", "recommendation")
    head = "".join(f"<th>{column}</th>" for column in columns)
    rows = "".join(map(_rule_row, rules))
    return Block(
        markup=f'<div class="scroll"><table class="rules"><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _rule_row(rule: RuleOutcome) -> str:
    kind = _STATUSES.get(rule.status, "fine")
    status = _STATUS_TEXTS.get(rule.status, "no issues")
    stops = '<span class="chip stop">may stop</span>' if rule.action == "stop" else ""
    cells = (
        f'<span class="chip {kind}">{status}</span>{stops}',
        f"<b>{text(rule.rule)}</b><small>{text(rule.description)}</small>{_reason(rule)}"
        f"{_more(rule)}",
        f"{rule.triggered:,}",
        f"{rule.violations:,} of {counted(rule.datapoints, 'datapoint')}"
        if rule.datapoints
        else "—",
        text(_unbroken(rule.threshold)),
        text(rule.recommendation) if rule.status == ISSUES else _if_it_fires(rule),
    )
    labels = ("", "", "times triggered", "violations", "threshold", "recommendation")
    return (
        "<tr>"
        + "".join(
            f'<td data-label="{label}">{cell}</td>'
            for label, cell in zip(labels, cells, strict=True)
        )
        + "</tr>"
    )


def _reason(rule: RuleOutcome) -> str:
    """Return why a rule does not apply."""
    absent = rule.status == NOT_APPLICABLE and rule.reason
    return f"<small>Here: {text(rule.reason)}</small>" if absent else ""


def _if_it_fires(rule: RuleOutcome) -> str:
    """Return a silent rule's recommendation, marked so that nobody mistakes it for advice."""
    never = not rule.recommendation or rule.threshold.startswith("Never")
    return "—" if never else f"<small>If it fires: {text(rule.recommendation)}</small>"


def _more(rule: RuleOutcome) -> str:
    """Return where it triggered, its evidence and its parameters, behind a title."""
    marks = "".join(
        f"<li>epoch {mark.epoch}, {text(mark.mode)} step {mark.step:,}: "
        f"{text(mark.message or mark.subject)}</li>"
        for mark in rule.marks[:MAX_SHOWN_MARKS]
    )
    more = len(rule.marks) - MAX_SHOWN_MARKS
    rest = f"<li>and {more:,} more places</li>" if more > 0 else ""
    facts = "".join(
        f"<div><dt>{text(name)}</dt><dd>{text(_short(value))}</dd></div>"
        for name, value in {**rule.parameters, **rule.details}.items()
    )
    if not marks and not facts:
        return ""
    places = f"<ul>{marks}{rest}</ul>" if marks else ""
    return f"<details><summary>Parameters and evidence</summary>{places}<dl>{facts}</dl></details>"


def _rounded(value: Any) -> Any:
    """Return a JSON value whose numbers have four digits, also those inside."""
    if isinstance(value, Mapping):
        return {name: _rounded(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    return float(f"{value:.4g}") if isinstance(value, float) and abs(value) < 1_000 else value


def _short(value: object) -> str:
    line = shown(_rounded(value))
    return line if len(line) <= _DETAIL_CHARACTERS else line[:_DETAIL_CHARACTERS] + "…"
