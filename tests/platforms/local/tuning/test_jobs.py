from __future__ import annotations

import os
import re
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError

from platforms.errors import SettingsError
from platforms.job_status import TERMINAL
from platforms.local.context import local_context
from platforms.local.training.jobs import TrainingJobs
from platforms.local.tuning.jobs import HyperParameterTuningJobs
from platforms.processes.process import ProcessId, alive
from platforms.settings import Settings
from platforms.validation import validate
from tests.worlds.local.searches import (
    METRIC,
    continuous,
    create,
    describe,
    ended,
    make_context,
    trials,
    tuning_request,
)
from tests.worlds.waiting import wait_for

pytestmark = pytest.mark.slow


@pytest.fixture
def context(tmp_path):
    context = make_context(tmp_path)
    yield context
    operations = HyperParameterTuningJobs(context)
    for name in context.records.names("tuning-jobs"):
        if describe(context, name)["HyperParameterTuningJobStatus"] not in TERMINAL:
            operations.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
            ended(context, name)


def tuned(found):
    return [each["TunedHyperParameters"] for each in found]


def supervisor_of(context, name):
    record = context.records.read("tuning-jobs", name)
    return ProcessId.from_record(record["Local"]["Supervisor"])


def begun(context, name):
    """Count the trials whose own supervisor has signed in."""
    return sum("TrainingStartTime" in each for each in trials(context, name))


def kill(process):
    """SIGKILL it and see it gone: the signal returns before the process ends."""
    os.kill(process.pid, signal.SIGKILL)
    wait_for(lambda: not alive(process), "end of the process")
    assert not alive(process)


def test_a_random_search_runs_real_training_jobs_and_finds_the_best(context):
    request = tuning_request("search", jobs=4, static={"epochs": "2"})
    request["Tags"] = [{"Key": "whippet:digest", "Value": "abc"}]
    validate("CreateHyperParameterTuningJob", request)
    create(context, request)
    started = describe(context, "search")
    assert started["HyperParameterTuningJobStatus"] == "InProgress"
    described = ended(context, "search")
    assert described["HyperParameterTuningJobStatus"] == "Completed"
    assert described["TrainingJobStatusCounters"]["Completed"] == 4
    assert described["ObjectiveStatusCounters"] == {"Succeeded": 4, "Pending": 0, "Failed": 0}
    assert described["HyperParameterTuningEndTime"] >= described["CreationTime"]
    assert not {"Tags", "Local", "FailureReason"} & set(described)
    assert 1 <= described["ConsumedResources"]["RuntimeInSeconds"] < 900
    assert described["TuningJobCompletionDetails"] == {
        "NumberOfTrainingJobsObjectiveNotImproving": pytest.approx(1.5, abs=1.5)
    }

    found = trials(context, "search")
    assert [each["TrainingJobName"][:11] for each in found] == [
        f"search-00{n}-" for n in (1, 2, 3, 4)
    ]
    best = min(found, key=lambda each: float(each["TunedHyperParameters"]["x"]))
    assert described["BestTrainingJob"] == best
    metric = best["FinalHyperParameterTuningJobObjectiveMetric"]
    # The last value counts: the second epoch prints x + 1/2.
    assert metric["Value"] == pytest.approx(float(best["TunedHyperParameters"]["x"]) + 0.5)
    assert (metric["Type"], metric["MetricName"]) == ("Minimize", "valid:loss")

    job = TrainingJobs(context).describe_training_job(TrainingJobName=best["TrainingJobName"])
    assert job["TuningJobArn"] == described["HyperParameterTuningJobArn"]
    assert job["HyperParameters"]["_tuning_objective_metric"] == "valid:loss"
    assert job["HyperParameters"]["epochs"] == "2"
    assert "DebugHookConfig" not in job
    record = context.records.read("training-jobs", best["TrainingJobName"])
    assert record["Tags"] == request["Tags"]


def test_trials_are_listed_sorted_filtered_and_in_pages(context):
    create(context, tuning_request("list", jobs=4, parallel=4, static={"do": "half"}))
    ended(context, "list")
    by_value = trials(context, "list", SortBy="FinalObjectiveMetricValue", SortOrder="Descending")
    values = [each["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for each in by_value]
    assert values == sorted(values, reverse=True)
    failed = trials(context, "list", StatusEquals="Failed")
    assert len(failed) + len(by_value) == 4
    assert {each["ObjectiveStatus"] for each in failed} <= {"Failed"}
    operation = HyperParameterTuningJobs(context).list_training_jobs_for_hyper_parameter_tuning_job
    first = operation(HyperParameterTuningJobName="list", MaxResults=3)
    rest = operation(HyperParameterTuningJobName="list", MaxResults=3, NextToken=first["NextToken"])
    assert first["TrainingJobSummaries"] + rest["TrainingJobSummaries"] == trials(context, "list")
    assert "NextToken" not in rest
    listed = HyperParameterTuningJobs(context).list_hyper_parameter_tuning_jobs(NameContains="li")
    (summary,) = listed["HyperParameterTuningJobSummaries"]
    assert summary["TrainingJobStatusCounters"]["NonRetryableError"] == len(failed)
    assert (summary["Strategy"], summary["HyperParameterTuningJobName"]) == ("Random", "list")


def test_no_more_trials_run_at_once_than_allowed(context):
    create(context, tuning_request("wide", jobs=4, parallel=2, static={"seconds": "0.5"}))
    ended(context, "wide")
    names = [each["TrainingJobName"] for each in trials(context, "wide")]
    assert len(names) == 4
    described = [TrainingJobs(context).describe_training_job(TrainingJobName=n) for n in names]
    spans = [(each["CreationTime"], each["LastModifiedTime"]) for each in described]
    # Most run at once when one of them begins.
    assert max(sum(a <= begin < b for a, b in spans) for begin, _ in spans) == 2


def test_a_killed_supervisor_is_replaced_and_no_trial_comes_twice(context):
    create(context, tuning_request("killed", jobs=4, parallel=1, static={"seconds": "1"}))
    create(context, tuning_request("whole", jobs=4, parallel=1))
    killed = set()
    for count in (1, 2, 3):
        # A job that is killed before its own supervisor has signed in counts as failed.
        wait_for(lambda: begun(context, "killed") >= count, f"trial {count}")  # noqa: B023
        supervisor = supervisor_of(context, "killed")
        kill(supervisor)
        killed.add(supervisor.pid)
    described = ended(context, "killed")
    assert described["HyperParameterTuningJobStatus"] == "Completed"
    assert described["TrainingJobStatusCounters"]["Completed"] == 4
    assert len(context.records.names("training-jobs")) >= 4
    assert len([name for name in context.records.names("training-jobs") if "killed" in name]) == 4
    assert supervisor_of(context, "killed").pid not in killed
    ended(context, "whole")
    assert tuned(trials(context, "killed")) == tuned(trials(context, "whole"))


def test_a_trial_that_is_only_in_the_record_is_created_by_the_next_supervisor(context):
    create(context, tuning_request("gap", jobs=2, parallel=1, static={"seconds": "1.5"}))
    wait_for(lambda: begun(context, "gap"), "trial")
    kill(supervisor_of(context, "gap"))

    def add(record):
        trial = {"Name": "gap-002-lost", "HyperParameters": {"x": "0.25"}}
        local = record["Local"]
        return {**record, "Local": {**local, "Trials": [*local["Trials"], trial]}}

    context.records.update("tuning-jobs", "gap", add)
    ended(context, "gap")
    assert trials(context, "gap")[1]["TrainingJobStatus"] == "Completed"
    assert len(trials(context, "gap")) == 2


def test_only_one_of_many_describers_starts_a_supervisor(context):
    create(context, tuning_request("once", jobs=1, static={"seconds": "3"}))
    kill(supervisor_of(context, "once"))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: describe(context, "once"), range(8)))
    assert context.records.read("tuning-jobs", "once")["Local"]["Starts"] == 2


def test_failing_trials_are_counted_and_the_search_goes_on(context):
    create(context, tuning_request("half", jobs=6, parallel=3, static={"do": "half"}))
    described = ended(context, "half")
    assert described["HyperParameterTuningJobStatus"] == "Completed"
    counters = described["TrainingJobStatusCounters"]
    assert counters["NonRetryableError"] > 0
    assert counters["NonRetryableError"] + counters["Completed"] == 6
    assert float(described["BestTrainingJob"]["TunedHyperParameters"]["x"]) >= 0.5


def test_a_search_of_which_all_trials_fail_is_failed_and_names_the_first(context):
    create(context, tuning_request("bad", jobs=2, static={"do": "fail"}))
    described = ended(context, "bad")
    assert described["HyperParameterTuningJobStatus"] == "Failed"
    first = trials(context, "bad")[0]["TrainingJobName"]
    assert first in described["FailureReason"]
    assert "no memory left, says the trial" in described["FailureReason"]
    assert "BestTrainingJob" not in described


def test_a_search_gives_up_after_five_trials_without_a_value(context):
    create(context, tuning_request("silent", jobs=9, parallel=2, static={"do": "silent"}))
    create(context, tuning_request("nan", jobs=9, parallel=2, static={"do": "nan"}))
    described = ended(context, "silent")
    assert described["HyperParameterTuningJobStatus"] == "Failed"
    reason = described["FailureReason"]
    # Two run at a time: the sixth may end in the same moment as the fifth.
    assert re.match(r"No objective metrics found after running [56] training jobs\. ", reason)
    assert f"The regex {METRIC['Regex']!r} of 'valid:loss' matches nothing in the log of" in reason
    assert 5 <= len(trials(context, "silent")) <= 6
    reason = ended(context, "nan")["FailureReason"]
    assert "reads 'nan' last in the log of nan-00" in reason
    assert "matches nothing" not in reason


def test_a_first_trial_without_a_value_ends_no_search(context):
    ranges = {"CategoricalParameterRanges": [{"Name": "x", "Values": ["0.1", "0.9"]}]}
    static = {"do": "nan-first"}
    grid = {"Strategy": "Grid", "ParameterRanges": ranges}
    create(context, tuning_request("some", jobs=None, parallel=1, static=static, **grid))
    described = ended(context, "some")
    assert described["HyperParameterTuningJobStatus"] == "Completed"
    assert described["BestTrainingJob"]["TunedHyperParameters"]["x"] == "0.9"
    assert described["ObjectiveStatusCounters"] == {"Succeeded": 1, "Pending": 0, "Failed": 1}


def test_a_stop_ends_running_trials_and_launches_no_more(context):
    create(context, tuning_request("stop", jobs=9, static={"epochs": "6000", "seconds": "0.1"}))
    wait_for(lambda: len(trials(context, "stop")) == 2, "two trials")
    operations = HyperParameterTuningJobs(context)
    operations.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="stop")
    assert describe(context, "stop")["HyperParameterTuningJobStatus"] in {"Stopping", "Stopped"}
    described = ended(context, "stop")
    assert described["HyperParameterTuningJobStatus"] == "Stopped"
    assert described["TrainingJobStatusCounters"]["Stopped"] == 2
    supervisor = supervisor_of(context, "stop")
    wait_for(lambda: not alive(supervisor), "end of the supervisor")
    assert not alive(supervisor)
    with pytest.raises(ClientError, match="is in status Stopped"):
        operations.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="stop")


def test_hyperband_stops_trials_that_go_beyond_max_resource(context):
    ranges = {"CategoricalParameterRanges": [{"Name": "x", "Values": ["0.1", "0.9"]}]}
    request = tuning_request(
        "early",
        jobs=2,
        parallel=1,
        static={"epochs": "6000", "seconds": "0.1"},
        Strategy="Hyperband",
        ParameterRanges={
            **ranges,
            "IntegerParameterRanges": [{"Name": "unused", "MinValue": "1", "MaxValue": "99"}],
        },
        StrategyConfig={"HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": 9}},
    )
    create(context, request)
    described = ended(context, "early")
    assert described["HyperParameterTuningJobStatus"] == "Completed"
    # None may go on beyond MaxResource, and a stopped trial's last value counts.
    assert described["TrainingJobStatusCounters"]["Stopped"] == 2
    assert described["ObjectiveStatusCounters"]["Succeeded"] == 2


def test_a_target_ends_the_search(context):
    criteria = {"TargetObjectiveMetricValue": 5.0}
    create(
        context, tuning_request("goal", jobs=50, parallel=1, TuningJobCompletionCriteria=criteria)
    )
    described = ended(context, "goal")
    assert described["HyperParameterTuningJobStatus"] == "Completed"
    assert len(trials(context, "goal")) == 1


def test_a_grid_tries_every_combination_once(context):
    ranges = {
        "CategoricalParameterRanges": [
            {"Name": "x", "Values": ["0.1", "0.2"]},
            {"Name": "epochs", "Values": ["1", "2"]},
        ]
    }
    create(
        context,
        tuning_request("grid", jobs=None, parallel=3, Strategy="Grid", ParameterRanges=ranges),
    )
    assert ended(context, "grid")["TrainingJobStatusCounters"]["Completed"] == 4
    found = {(each["x"], each["epochs"]) for each in tuned(trials(context, "grid"))}
    assert len(found) == 4


def test_a_warm_start_learns_from_its_parents(context):
    create(context, tuning_request("parent", jobs=2))
    best = ended(context, "parent")["BestTrainingJob"]
    request = tuning_request("child", jobs=1, Strategy="Bayesian")
    request["WarmStartConfig"] = {
        "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "parent"}],
        "WarmStartType": "IdenticalDataAndAlgorithm",
    }
    create(context, request)
    described = ended(context, "child")
    assert len(context.records.read("tuning-jobs", "child")["Local"]["Parents"]) == 2
    values = [
        each["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
        for each in (best, described["BestTrainingJob"], described["OverallBestTrainingJob"])
    ]
    assert values[2] == min(values)
    request = tuning_request("orphan")
    request["WarmStartConfig"] = {
        "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "nobody"}],
        "WarmStartType": "TransferLearning",
    }
    with pytest.raises(ClientError, match="Parent tuning job 'nobody' does not exist"):
        create(context, request)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ParameterRanges": continuous("eps", "1e-7", "1e-9")}, "'eps': MinValue=1e-7 must be"),
        ({"ParameterRanges": {}}, "ParameterRanges is empty"),
        ({"ParameterRanges": continuous("sagemaker_program")}, "are static and have ranges"),
        ({"Strategy": "Grid"}, "Grid searches categorical ranges only"),
        ({"Strategy": "Hyperband"}, "Hyperband needs HyperbandStrategyConfig.MaxResource"),
        (
            {"Strategy": "Hyperband", "TrainingJobEarlyStoppingType": "Auto"},
            "must be Off for Hyperband",
        ),
        ({"ResourceLimits": {"MaxParallelTrainingJobs": 1}}, "MaxNumberOfTrainingJobs is required"),
        (
            {"HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"}},
            "A metric is required for this hyperparameter tuning job objective",
        ),
        (
            {"ParameterRanges": {"CategoricalParameterRanges": [{"Name": "x", "Values": ["1"]}]}},
            "You don't have enough combinations of hyperparameter ranges",
        ),
    ],
)
def test_impossible_requests_are_refused_and_nothing_is_written(context, change, words):
    request = tuning_request("bad")
    request["HyperParameterTuningJobConfig"] |= change
    with pytest.raises(ClientError, match="ValidationException") as caught:
        create(context, request)
    assert words in caught.value.response["Error"]["Message"]
    assert not context.records.names("tuning-jobs")


def test_a_request_that_could_not_train_is_refused(context):
    request = tuning_request("bad")
    source = request["TrainingJobDefinition"]["InputDataConfig"][0]["DataSource"]["S3DataSource"]
    source["S3Uri"] = "s3://whippet-local/nothing"
    with pytest.raises(ClientError, match="No S3 objects found"):
        create(context, request)
    missing = Settings(home=context.home, job_python=context.home / "no/python")
    with pytest.raises(SettingsError, match="Create it with `make job-env`"):
        create(local_context(missing), tuning_request("bad"))
    assert not context.records.names("tuning-jobs")


def test_names_are_unique_and_unknown_ones_are_named(context):
    create(context, tuning_request("name", jobs=1))
    with pytest.raises(ClientError, match=r"ResourceInUse.*name, name, already exists"):
        create(context, tuning_request("name", jobs=1))
    with pytest.raises(
        ClientError, match=r"ResourceNotFound.*can't find a tuning job called nobody"
    ):
        describe(context, "nobody")
    ended(context, "name")
    supervisor = supervisor_of(context, "name")
    wait_for(lambda: not alive(supervisor), "end of the supervisor")
    assert not alive(supervisor)


def test_describe_adds_what_the_service_adds(context):
    """SDK v2's `HyperparameterTuner.attach` reads each of them without asking for it first."""
    request = tuning_request("attached", jobs=1)
    resources = request["TrainingJobDefinition"].pop("ResourceConfig")
    request["TrainingJobDefinition"]["HyperParameterTuningResourceConfig"] = resources
    HyperParameterTuningJobs(context).create_hyper_parameter_tuning_job(**request)
    described = describe(context, "attached")
    config = described["HyperParameterTuningJobConfig"]
    assert config["TrainingJobEarlyStoppingType"] == "Off"
    assert config["ParameterRanges"] == {
        "IntegerParameterRanges": [],
        "CategoricalParameterRanges": [],
        **continuous(),
    }
    definition = described["TrainingJobDefinition"]
    assert definition["StaticHyperParameters"]["_tuning_objective_metric"] == "valid:loss"
    assert definition["EnableNetworkIsolation"] is False
    assert definition["ResourceConfig"] == resources
    stored = context.records.read("tuning-jobs", "attached")["TrainingJobDefinition"]
    assert "_tuning_objective_metric" not in stored["StaticHyperParameters"]
    ended(context, "attached")


def test_a_grid_tells_how_many_trials_it_has(context):
    categorical = [{"Name": "x", "Values": ["0.1", "0.2"]}]
    HyperParameterTuningJobs(context).create_hyper_parameter_tuning_job(
        **tuning_request(
            "grid-of-two",
            jobs=None,
            Strategy="Grid",
            ParameterRanges={"CategoricalParameterRanges": categorical},
        )
    )
    limits = describe(context, "grid-of-two")["HyperParameterTuningJobConfig"]["ResourceLimits"]
    assert limits["MaxNumberOfTrainingJobs"] == 2
    ended(context, "grid-of-two")
