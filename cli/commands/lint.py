"""``whippet lint``: is the number that a search optimises what it claims to be?

It checks a job on the platform, a request before it is sent, or the log of any other script.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from cli.table import print_table
from platforms.errors import ParameterError
from sm_entrypoints.contract.sentences import clause

if TYPE_CHECKING:
    from sm_entrypoints.contract import MetricDefinition
    from tasks.lint.findings import LintFinding
    from tasks.requests.shapes import AnyJob

HELP = "check that an objective and its metrics are what they claim to be, before money is spent"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("name", nargs="?", help="a training or tuning job of the platform")
    parser.add_argument(
        "--log", metavar="FILE", help="the log of any script; no platform is needed"
    )
    parser.add_argument(
        "--metric",
        action="append",
        default=[],
        metavar="NAME=REGEX",
        help="how SageMaker reads a metric from that log; repeatable",
    )
    parser.add_argument("--objective", metavar="NAME", help="the metric that a search optimises")
    parser.add_argument(
        "--request", metavar="FILE", help="a tuning or training request as JSON, with --log or not"
    )
    parser.add_argument("--classes", type=int, metavar="N", help="classes of the data")


def command(arguments: argparse.Namespace) -> int:
    """Print what is wrong, with what to do; 1 when there is an error, 0 otherwise."""
    from tasks.lint.findings import errors

    _require_sense(arguments)
    if arguments.name:
        findings = _lint_job(arguments)
    elif arguments.request:
        findings = _lint_request(arguments)
    else:
        findings = _lint_log(arguments)
    print_findings(findings)
    return 1 if errors(findings) else 0


def print_findings(findings: Sequence[LintFinding]) -> None:
    """Print a table of findings, each with what was seen and what to do, and their count."""
    from tasks.lint.findings import errors

    rows = []
    for finding in findings:
        head = {"severity": finding.severity, "code": finding.code, "finding": finding.message}
        seen = {"severity": "", "code": "", "finding": f"  seen: {finding.evidence}"}
        rows += [head, seen, {"severity": "", "code": "", "finding": f"  do: {finding.advice}"}]
    print_table(rows, empty="nothing found")
    if rows:
        bad = len(errors(findings))
        print(f"\nerrors: {bad}, warnings: {len(findings) - bad}")


def _require_sense(arguments: argparse.Namespace) -> None:
    sources = [name for name in ("name", "request", "log") if getattr(arguments, name)]
    if not sources:
        raise ParameterError(
            "nothing to lint: give the NAME of a job (see `whippet jobs`), --request FILE, or "
            "--log FILE with --metric NAME=REGEX"
        )
    if "name" in sources and (len(sources) > 1 or arguments.metric or arguments.objective):
        raise ParameterError(
            f"job {arguments.name!r} has its own request and log: leave out --log, --request, "
            "--metric and --objective"
        )
    if "request" in sources and (arguments.metric or arguments.objective):
        raise ParameterError(
            "--request already has the metrics and the objective: leave out the other options"
        )
    if arguments.classes is not None and arguments.classes < 2:
        raise ParameterError(f"--classes {arguments.classes}: a classifier has 2 or more")


def _lint_job(arguments: argparse.Namespace) -> list[LintFinding]:
    from platforms import connect
    from tasks.lint.jobs import lint_job

    return lint_job(connect(), arguments.name, arguments.classes)


def _lint_request(arguments: argparse.Namespace) -> list[LintFinding]:
    from tasks.lint.findings import worst_first
    from tasks.lint.history import lint_history
    from tasks.lint.log_metrics import log_lines
    from tasks.lint.request import lint_request, measured_by

    request = _read_request(arguments.request)
    if not arguments.log:
        return lint_request(request)
    log = _read_log(arguments.log)
    findings = lint_request(request, log_lines(log))
    for definitions, objective in measured_by(request):
        findings += lint_history(log, definitions, objective=objective, classes=arguments.classes)
    return worst_first(findings)


def _read_request(path: str) -> AnyJob:
    from platforms.validation import validate

    try:
        request = json.loads(_read("--request", path))
    except ValueError as error:
        raise ParameterError(f"--request {path!r} is not JSON: {error}") from error
    if not isinstance(request, dict):
        raise ParameterError(f"--request {path!r} must be a JSON object, as boto3 takes it")
    tunes = any(name.startswith("HyperParameterTuning") for name in request)
    validate("CreateHyperParameterTuningJob" if tunes else "CreateTrainingJob", request)
    return cast("AnyJob", request)


def _lint_log(arguments: argparse.Namespace) -> list[LintFinding]:
    from tasks.lint.history import lint_history
    from tasks.lint.regexes import Objective

    definitions = [_definition(text) for text in arguments.metric]
    log = _read_log(arguments.log)
    objective = Objective(name=arguments.objective) if arguments.objective else None
    return lint_history(log, definitions, objective=objective, classes=arguments.classes)


def _definition(text: str) -> MetricDefinition:
    from platforms.metric_regexes import MetricRegex, MetricRegexError

    name, equals, regex = text.partition("=")
    if not equals or not name or not regex:
        raise ParameterError(
            f"--metric {text!r}: write NAME=REGEX, such as --metric 'valid:loss=Valid loss: "
            "([-+0-9.eE]+)'"
        )
    try:
        MetricRegex(regex)
    except MetricRegexError as error:
        raise ParameterError(
            f"--metric {text!r}: {regex!r} {clause(error)}; put parentheses around the number"
        ) from error
    return {"Name": name, "Regex": regex}


def _read_log(path: str) -> str:
    text = _read("--log", path)
    if not text.strip():
        raise ParameterError(f"--log {path!r} is empty: nothing to lint")
    return text


def _read(option: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ParameterError(f"{option} {path!r} cannot be read: {error.strerror}") from error
