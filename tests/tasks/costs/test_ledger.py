from __future__ import annotations

import re
from decimal import Decimal
from types import SimpleNamespace

import pytest

from tasks.costs.ledger import cost_sentence, ledger_rows, note_jobs, spent_usd
from tasks.costs.prices import table_prices
from tasks.costs.worst_case import jobs_usd
from tasks.parameters.run import ResourceParameters
from tasks.plan.existing_jobs import ExistingJobs, Job
from tasks.runs.record import read_run, record
from tasks.runs.record_model import RunFacts
from tests.worlds.platforms import platform_with_run
from tests.worlds.run_records import run_record

JOB = {
    "TrainingJobName": "j",
    "TrainingJobStatus": "Completed",
    "BillableTimeInSeconds": 1800,
    "TrainingTimeInSeconds": 3600,
    "ResourceConfig": {
        "InstanceType": "ml.m5.xlarge",
        "InstanceCount": 2,
        "VolumeSizeInGB": 73,
    },
}
# Half an hour of two instances at 0.23, and of two volumes of 73 GB at 0.14 a month of 730 h.
USD = Decimal("0.23") + Decimal("0.014")


@pytest.fixture
def world(tmp_path):
    described = {"j": JOB, "going on": {**JOB, "TrainingJobStatus": "InProgress"}}
    asked: list[str] = []

    def describe_training_job(TrainingJobName):
        asked.append(TrainingJobName)
        return described[TrainingJobName]

    client = SimpleNamespace(describe_training_job=describe_training_job)
    return platform_with_run(tmp_path, client, asked=asked)


def test_a_job_is_noted_once_with_what_it_used(world):
    for _ in range(2):
        note_jobs(world, world.run, "train", ["j", "going on"])
    found = read_run(world.settings, world.run.name)
    (entry,) = found.ledger.values()
    assert (entry.job, entry.stage, entry.usd) == ("j", "train", USD)
    assert entry.spot_saving == 0.5
    assert world.asked.count("j") == 1
    assert spent_usd([entry]) == USD
    (row,) = ledger_rows(found)
    assert (row["instances"], row["spot saved"]) == ("2 x ml.m5.xlarge", "50%")


def test_the_sentence_says_whether_it_was_paid(world):
    note_jobs(world, world.run, "train", ["j"])
    here = cost_sentence(read_run(world.settings, world.run.name))
    assert here.startswith("nothing here; would have cost about $0.25 for 3600 s of ml.m5.xlarge")
    record(world.settings, world.run, RunFacts(plan={"bills": True}))
    there = cost_sentence(read_run(world.settings, world.run.name))
    assert there.startswith("about $0.25")
    assert re.search(r"\(table of \d{4}-\d\d, not confirmed by AWS\)$", there)
    assert cost_sentence(run_record()) is None


def test_what_nobody_has_a_price_for_is_said():
    odd = {
        "job": "x",
        "stage": "tune",
        "status": "Completed",
        "instance_type": "ml.odd.large",
        "instance_count": 1,
        "billable_seconds": 7,
        "spot_saving": 0.0,
        "usd": None,
        "price": "not known",
    }
    assert (
        cost_sentence(run_record(ledger={"x": odd}))
        == "7 s of ml.odd.large, whose price is not known"
    )


def test_a_job_that_goes_on_counts_with_its_limit_and_an_ended_one_with_its_use(world):
    note_jobs(world, world.run, "tune", ["j"])
    found = read_run(world.settings, world.run.name)
    prices = table_prices([("ml.m5.xlarge", "training")])
    search = {
        "HyperParameterTuningJobConfig": {
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 3, "MaxParallelTrainingJobs": 1}
        },
        "TrainingJobDefinition": {
            "ResourceConfig": JOB["ResourceConfig"],
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        },
    }

    def stands(status):
        job = Job(step="tune", name="s", status=status, described=search, training_jobs=("j", "k"))
        return ExistingJobs(jobs=(job,))

    assert stands("InProgress").usd(found, prices) == jobs_usd(search, prices)
    assert stands("Completed").usd(found, prices) == USD
    assert stands("Failed").usd(found, prices) == USD
    assert stands("InProgress").created("tune")
    assert stands("Completed").created("tune")
    assert not stands("Failed").created("tune")
    assert not stands("InProgress").created("train")
    assert ResourceParameters().max_usd is None
