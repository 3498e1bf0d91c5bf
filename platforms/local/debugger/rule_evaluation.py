"""Judge an ended job by its request's rules: statuses and the ``rule-output`` folder.

Two programs do the work: the job environment reads tensors and samples and evaluates the rules, and
the orchestrator's dashboards render the page. Neither trusts the job's files.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from platforms.errors import WhippetError
from platforms.job_environment import ENTRY_POINTS, program_surroundings
from platforms.local.buckets.buckets import Buckets
from platforms.local.debugger.rule_configurations import RuleConfiguration, rule_configurations
from platforms.local.debugger.rule_statuses import RuleStatus
from platforms.local.job_tree import JobTree
from platforms.local.records import write_json
from platforms.processes.alone import run_alone
from platforms.settings import PROJECT_ROOT
from sm_entrypoints.contract import (
    INSTRUMENTATION_FOLDER,
    PROFILER_REPORT_RULE,
    REPORT_ORIGIN,
    REQUESTED_RULES_FILE,
)
from sm_entrypoints.contract.sentences import ended, joined

RULE_OUTPUT = "rule-output"
REPORT_PAGE = "profiler-report.html"
REPORT_NOTEBOOK = "profiler-report.ipynb"
_PROFILER_OUTPUT = "profiler-output"
_REPORTS = "profiler-reports"
_JUDGE = ENTRY_POINTS / "explain.py"
_PAGE_MODULE = "dashboards.job_page"
# Both limit themselves to far less; this is for a disk or a file that hangs.
_JUDGE_SECONDS, _PAGE_SECONDS = 900.0, 300.0
_ORIGIN = "whippet"
# In the service's own words.
_NO_TENSORS = (
    "ClientError: No debugging data was saved by the training job. Check that the debugger hook "
    "was configured correctly before starting the training job."
)


class EvaluationError(WhippetError):
    """Raised when the rules could not be judged; says why in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleEvaluation:
    """The evaluation of one ended job.

    Attributes:
        tree: the job's files.
        record: its record, with the members of its request.
        buckets: where ``rule-output`` goes.
        profiler_output: the folder of what the profiler recorded, there or not.
    """

    tree: JobTree
    record: Mapping[str, Any]
    buckets: Buckets
    profiler_output: Path

    def run(self) -> dict[str, RuleStatus]:
        """Judge, write ``rule-output`` to the bucket, and return the statuses by name.

        A failure becomes the rule's status, ``Error``, and its details.
        """
        configurations = rule_configurations(self.record)
        usable = [each for each in configurations if each.problem is None]
        statuses = {
            each.name: RuleStatus(status="Error", details=ended(f"ClientError: {each.problem}"))
            for each in configurations
            if each.problem is not None
        }
        work = self.tree.folder / "rules"
        try:
            statuses |= self._judged(usable, work) if usable else {}
        except (WhippetError, OSError, ValueError, KeyError) as error:
            failed = RuleStatus(status="Error", details=f"InternalServerError: {error}")
            statuses |= {each.name: failed for each in usable if each.name not in statuses}
        return statuses

    def _judged(self, known: Sequence[RuleConfiguration], work: Path) -> dict[str, RuleStatus]:
        shutil.rmtree(work, ignore_errors=True)
        (work / "output").mkdir(parents=True)
        write_json(work / "requests.json", [each.document() for each in known])
        answer = self._run_judge(work)
        document = json.loads(
            (work / "output" / INSTRUMENTATION_FOLDER / REQUESTED_RULES_FILE).read_bytes()
        )
        outcomes = {each["name"]: each for each in document["rules"]}
        has_tensors = "saved tensors" in answer["parts"]
        statuses = {
            each.name: _status(each, outcomes[each.name], has_tensors=has_tensors) for each in known
        }
        self._write_output(known, outcomes, work, answer)
        return statuses

    def _roots(self) -> Iterator[Path]:
        """Yield the folders that hold the job's traces, and nothing else of the job's."""
        own = self.tree.output_data
        if (own / INSTRUMENTATION_FOLDER).is_dir():  # one of our own entry points
            yield own
        tensors, framework = self.tree.tensors(self.record), self.tree.framework_profile
        for folder in (tensors, self.profiler_output, framework):
            if folder.is_dir():
                yield folder

    def _run_judge(self, work: Path) -> dict[str, Any]:
        roots = list(self._roots()) or [work / "output"]
        command = [
            *(self.record["Local"]["JobPython"], str(_JUDGE), "--allow-nothing"),
            *("--requests", str(work / "requests.json"), "--output", str(work / "output")),
            *("--", *map(str, roots)),
        ]
        printed = _run(command, seconds=_JUDGE_SECONDS)
        answer: dict[str, Any] = json.loads(printed.strip().splitlines()[-1])
        return answer

    def _write_output(
        self,
        known: Sequence[RuleConfiguration],
        outcomes: Mapping[str, Mapping[str, Any]],
        work: Path,
        answer: Mapping[str, Any],
    ) -> None:
        for each in known:
            if each.member != "ProfilerRuleConfigurations":
                continue
            folder = work / RULE_OUTPUT / each.name
            inside = folder / _PROFILER_OUTPUT
            (inside / _REPORTS).mkdir(parents=True)
            for rule, report in outcomes[each.name]["reports"].items():
                write_json(inside / _REPORTS / f"{rule}.json", {**report, REPORT_ORIGIN: _ORIGIN})
            if each.rule == PROFILER_REPORT_RULE:
                self._write_page(work, inside, answer)
            self.buckets.push(folder, self._uri(each))

    def _uri(self, configuration: RuleConfiguration) -> str:
        base = configuration.output_uri or self.record["OutputDataConfig"]["S3OutputPath"]
        name = self.record["TrainingJobName"]
        return f"{base.rstrip('/')}/{name}/{RULE_OUTPUT}/{configuration.name}"

    def _write_page(self, work: Path, folder: Path, answer: Mapping[str, Any]) -> None:
        page = work / REPORT_PAGE
        if not page.is_file():
            write_json(work / "about.json", {**answer, "job": _facts(self.record)})
            command = [sys.executable, "-m", _PAGE_MODULE, str(work / "output")]
            _run([*command, str(work / "about.json"), str(page)], seconds=_PAGE_SECONDS)
        shutil.copyfile(page, folder / REPORT_PAGE)
        write_json(folder / REPORT_NOTEBOOK, _notebook(self.record["TrainingJobName"]))


def _status(
    configuration: RuleConfiguration, outcome: Mapping[str, Any], *, has_tensors: bool
) -> RuleStatus:
    """Return the details of a rule, including a reason if it had nothing to examine."""
    unused = outcome["unused"]
    notes = [f"Not used on this platform: {', '.join(unused)}."] if unused else []
    if outcome["status"] == "NotApplicable":
        sentence = f"{configuration.rule} was not judged: {ended(outcome['reason'])}"
        # As SageMaker: rules of GPUs end without issues in a job without one, rules of tensors
        # where too few were saved, which its default interval of 500 steps makes common.
        if configuration.member == "ProfilerRuleConfigurations" or outcome["recorded"]:
            return RuleStatus(status="NoIssuesFound", details=" ".join([sentence, *notes]))
        start = "ClientError:" if has_tensors else _NO_TENSORS
        return RuleStatus(status="Error", details=" ".join([start, sentence, *notes]))
    if outcome["status"] == "IssuesFound":
        step = outcome["step"] if outcome["step"] is not None else 0
        met = (
            f"RuleEvaluationConditionMet: Evaluation of the rule {configuration.rule} at step "
            f"{step} resulted in the condition being met"
        )
        message = f": {outcome['message']}" if outcome["message"] else ""
        return RuleStatus(status="IssuesFound", details=joined(f"{met}{message}", *notes))
    return RuleStatus(status="NoIssuesFound", details=" ".join(notes) or None)


def _run(command: Sequence[str], *, seconds: float) -> str:
    """Run a program of ours to its good end; return what it printed.

    Raises:
        EvaluationError: it failed or took too long; with its last line.
    """
    ours = program_surroundings()
    surroundings = replace(ours, cwd=PROJECT_ROOT, own_session=False)
    try:
        finished = run_alone(command, surroundings, seconds=seconds)
    except subprocess.TimeoutExpired as error:
        raise EvaluationError(f"the evaluation took more than {seconds:.0f} seconds") from error
    if finished.status != 0:
        raise EvaluationError(f"the evaluation failed: {finished.problem}")
    return finished.stdout


def _facts(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a page says of the job: nothing that could be a secret."""
    return {
        "name": record["TrainingJobName"],
        "status": record["TrainingJobStatus"],
        "start": record.get("TrainingStartTime"),
        "end": record["LastModifiedTime"],
        "rules": [each.document() for each in rule_configurations(record)],
    }


def _notebook(job: str) -> dict[str, Any]:
    """Return a notebook that shows the page and the rules' JSON beside it."""
    read = (
        "import json\n",
        "from pathlib import Path\n",
        "import pandas as pd\n",
        'reports = {path.stem: json.loads(path.read_text()) for path in sorted(Path("'
        f'{_REPORTS}").glob("*.json"))}}\n',
        "pd.DataFrame(reports).T[['RuleTriggered', 'Violations', 'Datapoints']]",
    )
    show = ("from IPython.display import HTML\n", f'HTML(filename="{REPORT_PAGE}")')
    cells = [_cell("markdown", (f"# Profiler report of the training job {job}",))]
    cells += [_cell("code", show), _cell("code", read)]
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}


def _cell(kind: str, lines: Sequence[str]) -> dict[str, Any]:
    code: dict[str, Any] = {"execution_count": None, "outputs": []} if kind == "code" else {}
    return {"cell_type": kind, "metadata": {}, "source": list(lines), **code}
