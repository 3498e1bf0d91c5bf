"""``whippet explain``: the verdict and the report of any earlier training."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cli.table import print_table
from sm_entrypoints.contract.sentences import clause

if TYPE_CHECKING:
    from dashboards.files.findings import RuleOutcome, Verdict
    from tasks.explain.explanation import Explanation

HELP = "say what holds a training back, from what smdebug and SageMaker's profiler wrote earlier"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "source",
        help="a folder (debug-output, profiler-output, rule-output, …), s3://bucket/prefix, or the "
        "name of a run",
    )
    parser.add_argument("--output", metavar="DIR", help="new folder of the report")
    parser.add_argument(
        "--other",
        metavar="SOURCE",
        action="append",
        default=[],
        help="another job: are the two the same run? repeatable",
    )
    parser.add_argument("--json", action="store_true", help="print verdict.json instead of text")
    parser.add_argument("--open", action="store_true", help="show the report in a browser")


def command(arguments: argparse.Namespace) -> int:
    """Print the verdict, the rules that triggered, and where the report is."""
    import webbrowser

    from platforms import Platform, Settings, connect
    from platforms.files import read_json
    from tasks.explain.explanation import explain

    settings = Settings()

    def platform() -> Platform:
        return connect(settings)

    explanation = explain(
        arguments.source,
        output=Path(arguments.output) if arguments.output else None,
        settings=settings,
        connect=platform,
        progress=lambda line: print(line, file=sys.stderr),
        others=arguments.other,
    )
    if arguments.json:
        print(json.dumps(read_json(explanation.verdict_file), indent=2, ensure_ascii=False))
    else:
        _print(explanation, arguments.output)
    if arguments.open and not webbrowser.open(explanation.report.as_uri()):
        print(f"no browser can be opened here: open {explanation.report.as_uri()}", file=sys.stderr)
    return 0


def _print(found: Explanation, output: str | None) -> None:
    from dashboards.files.findings import ISSUES

    if found.findings.verdict is not None:
        _print_verdict(found.findings.verdict)
    rows = [_row(rule) for rule in found.findings.rules if rule.status == ISSUES]
    print_table(rows, empty="no rule found an issue")
    print()
    for note in found.notes:
        print(f"note: {note}")
    print(f"report: {Path(output) / found.report.name if output else found.report}")


def _print_verdict(verdict: Verdict) -> None:
    from dashboards.sections.judgement import change_text

    print(verdict.sentence)
    for line in verdict.evidence:
        print(f"  - {line}")
    if verdict.change:
        print(f"change: {change_text(verdict.change)}")
    if verdict.advice:
        print(f"advice: {verdict.advice}")
    if verdict.gain:
        print(f"expected gain: {verdict.gain} ({clause(verdict.reasoning)})")
    print()


def _row(rule: RuleOutcome) -> dict[str, str]:
    mark = next(iter(rule.marks), None)
    return {
        "rule": rule.rule,
        "times": str(rule.triggered),
        "violations": f"{rule.violations} of {rule.datapoints}",
        "first": f"{mark.mode} step {mark.step}: {mark.message}" if mark else "",
    }
