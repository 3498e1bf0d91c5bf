"""Lint of jobs as a platform describes them: its answers and its bucket, no job is run."""

from __future__ import annotations

import math

import obstore
import pytest

from dashboards.files.frames import read_training_output
from platforms import connect
from platforms.archives import write_archive
from platforms.client_errors import client_error
from platforms.errors import ParameterError
from sm_entrypoints import contract
from tasks.lint.findings import LintFinding
from tasks.lint.jobs import class_count, job_output, lint_job, lint_output
from tasks.lint.trials import merge_trials
from tasks.parameters.run import TuningParameters
from tasks.requests.bodies import tuning_job_request
from tests.worlds.logs import our_log
from tests.worlds.platforms import fake_platform
from tests.worlds.requests import inputs
from tests.worlds.sample_output import write_output

OUTPUT = "s3://whippet-local/jobs"
OBJECTIVE_KEY = "_tuning_objective_metric"


def summary(name, rate, value, status="Completed"):
    metric = {"MetricName": contract.OBJECTIVE_METRIC, "Value": value}
    return {
        "TrainingJobName": name,
        "TrainingJobStatus": status,
        "TunedHyperParameters": {"lr": str(rate), "batch_size": '"16"'},
        "FinalHyperParameterTuningJobObjectiveMetric": {} if value is None else metric,
    }


class Account:
    """An account with one tuning job and the training jobs whose logs are given."""

    def __init__(self, logs, summaries=(), **job):
        self.logs, self.summaries = logs, list(summaries)
        self.job = job

    def describe_hyper_parameter_tuning_job(self, HyperParameterTuningJobName):
        if HyperParameterTuningJobName != "search":
            raise client_error("DescribeHyperParameterTuningJob", "ResourceNotFound", "not found")
        tuning = TuningParameters(preset="quick")
        body = tuning_job_request("search", tuning.search_ranges(), {}, inputs(), tuning)
        return {**body, "BestTrainingJob": min(self.summaries, key=_value)}

    def list_training_jobs_for_hyper_parameter_tuning_job(self, **_):
        return {"TrainingJobSummaries": self.summaries}

    def describe_training_job(self, TrainingJobName):
        if TrainingJobName not in self.logs:
            raise client_error("DescribeTrainingJob", "ValidationException", "Resource not found")
        return {
            "TrainingJobName": TrainingJobName,
            "TrainingJobStatus": "Completed",
            "AlgorithmSpecification": {"MetricDefinitions": contract.metric_definitions()},
            "OutputDataConfig": {"S3OutputPath": OUTPUT},
            "HyperParameters": {OBJECTIVE_KEY: f'"{contract.OBJECTIVE_METRIC}"'},
            **self.job,
        }

    def filter_log_events(self, logStreamNamePrefix, **_):
        lines = self.logs[logStreamNamePrefix.rstrip("/")].splitlines()
        return {"events": [{"message": line} for line in lines]}


def _value(trial):
    return trial["FinalHyperParameterTuningJobObjectiveMetric"].get("Value", math.inf)


@pytest.fixture
def platform(whippet_home):
    """Return a platform of an account: its bucket is a real folder."""

    def build(account):
        store = connect().store
        return fake_platform(account, logs=account, store=store)

    return build


def put_output(platform, name, folder):
    archive = folder.with_name("output.tar.gz")
    write_archive(folder, archive)
    store = platform.store("whippet-local")
    obstore.put(store, f"jobs/{name}/output/output.tar.gz", archive.read_bytes())


def codes(findings) -> list[str]:
    return [finding.code for finding in findings]


def test_a_clean_training_job(platform, tmp_path):
    account = platform(Account({"train": our_log([1.4321, 1.2187])}))
    assert lint_job(account, "train") == [], "without an output, too"
    put_output(account, "train", write_output(tmp_path / "o", samples=40, steps=40, mistakes=2))
    assert lint_job(account, "train") == []


def test_the_classes_come_from_the_jobs_output(platform, tmp_path):
    account = platform(Account({"train": our_log([9.4321, 9.2187])}))
    assert lint_job(account, "train") == []
    assert codes(lint_job(account, "train", classes=10)) == ["worse-than-chance"]
    put_output(account, "train", write_output(tmp_path / "o", samples=40, steps=40, mistakes=2))
    assert codes(lint_job(account, "train")) == ["worse-than-chance"]


def test_an_output_of_somebody_else_is_left_alone(platform, tmp_path):
    account = platform(Account({"train": our_log([1.4321])}))
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / contract.METRICS_FILE).write_text('{"step": 1}\n', encoding="utf-8")
    put_output(account, "train", theirs)
    assert job_output(account, account.sagemaker.describe_training_job("train")) is None
    assert lint_job(account, "train") == []


def test_a_job_that_is_not_there_or_not_over(platform):
    account = platform(Account({"train": ""}, TrainingJobStatus="InProgress"))
    with pytest.raises(ParameterError, match="'train' is InProgress"):
        lint_job(account, "train")
    for name in ("no-such-job", "a-name-longer-than-a-tuning-job-may-have"):
        with pytest.raises(ParameterError, match=f"no training or tuning job '{name}'"):
            lint_job(account, name)


def test_a_clean_tuning_job(platform):
    logs = {"a": our_log([1.4321]), "b": our_log([1.3321]), "c": "starting"}
    running = summary("c", 0.004, None, status="InProgress")
    trials = [summary("a", 0.001, 1.4321), summary("b", 0.002, 1.3321), running]
    found = lint_job(platform(Account(logs, trials)), "search", classes=10)
    assert found == [], "a trial that runs has printed nothing yet"


def test_a_tuning_job_with_a_diverged_trial_and_an_optimum_at_the_edge(platform):
    logs = {"a": our_log([1.4321]), "b": our_log([float("nan")])}
    trials = [summary("a", 0.01, 1.4321), summary("b", 0.001, None, "Failed")]
    found = lint_job(platform(Account(logs, trials)), "search")
    assert {each.code: each.severity for each in found} == {
        "optimum-at-edge": "warning",
        "objective-missing": "warning",
        "not-finite": "warning",
        "regex-matches-nothing": "warning",
    }
    (diverged,) = [each for each in found if each.code == "not-finite"]
    assert diverged.evidence.startswith("1 of 2 trials, first b: ")


def test_what_every_trial_shows_is_not_excused():
    finding = LintFinding(
        code="not-finite", severity="error", message="m", evidence="e", advice="a"
    )
    (some,) = merge_trials({"a": [finding], "b": []})
    (every,) = merge_trials({"a": [finding, finding], "b": [finding]})
    assert (some.severity, every.severity) == ("warning", "error")
    assert every.evidence == "2 of 2 trials, first a: e"
    assert merge_trials({"a": [], "b": []}) == []


def test_the_output_of_a_job(awkward_path):
    folder = write_output(awkward_path / "o", samples=40, steps=40, mistakes=2)
    output = read_training_output(folder)
    assert class_count(output) == len(output.evaluation["classes"]) > 1
    assert lint_output(output) == []
    worse = output.metrics.assign(loss=output.metrics["loss"] + 50)
    (found,) = lint_output(_with_metrics(output, worse))
    assert (found.code, found.severity) == ("worse-than-chance", "error")


def _with_metrics(output, metrics):
    members = {name: getattr(output, name) for name in type(output).__dataclass_fields__}
    return type(output)(**{**members, "metrics": metrics})
