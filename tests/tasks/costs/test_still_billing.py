"""The table of what still bills."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tasks.costs.still_billing import still_billing, total_sentence
from tests.worlds.platforms import fake_platform

TAGS = [{"Key": "whippet:run", "Value": "r"}]
ENDPOINT = [*TAGS, {"Key": "whippet:expires", "Value": "2026-01-01T08:30:00+00:00"}]


def endpoint(platform: Any, name: str, variant: dict[str, Any]) -> None:
    config = {"VariantName": "a", "ModelName": "m", **variant}
    sagemaker = platform.sagemaker
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[config])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name, Tags=ENDPOINT)


def test_an_endpoint_bills_for_the_instances_that_it_has_now():
    platform = fake_platform(bills=True)
    endpoint(platform, "e", {"InstanceType": "ml.m5.xlarge", "InitialInstanceCount": 1})
    [one] = still_billing(platform)
    assert (one.kind, one.run, one.instances) == ("endpoint", "r", "1 x ml.m5.xlarge")
    assert one.usd_per_hour is not None
    late = "2026-01-01 08:30 (passed: run `whippet clean-up`)"
    assert one.row["until (UTC)"] == late, "nothing at AWS removes it"
    now = [{"VariantName": "a", "CurrentInstanceCount": 3}]
    platform.sagemaker.resources["endpoint", "e"]["ProductionVariants"] = now
    [three] = still_billing(platform)
    assert three.usd_per_hour == 3 * one.usd_per_hour


def test_a_serverless_endpoint_bills_by_use():
    platform = fake_platform(bills=True)
    serverless = {"ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 2}}
    endpoint(platform, "s", serverless)
    [found] = still_billing(platform)
    assert found.usd_per_hour is None
    assert found.row["USD per hour"] == "by use"
    total = total_sentence([found], bills=True)
    assert total == "this bills by use, or at a price that is not known", "and not 0.0000 USD"


def test_an_endpoint_whose_config_is_gone_does_not_bill_by_use():
    platform = fake_platform(bills=True)
    endpoint(platform, "e", {"InstanceType": "ml.m5.xlarge", "InitialInstanceCount": 1})
    platform.sagemaker.delete_endpoint_config(EndpointConfigName="e")
    [found] = still_billing(platform)
    assert (found.instances, found.row["USD per hour"]) == ("real-time", "not known")


def job(platform: Any, name: str, tags: list[dict[str, str]], **more: Any) -> None:
    arn = f"arn:aws:sagemaker:us-east-1:000000000000:training-job/{name}"
    resources = {"InstanceType": "ml.g4dn.xlarge", "InstanceCount": 2, "VolumeSizeInGB": 30}
    platform.sagemaker.tags[arn] = tags
    platform.sagemaker.resources["training_job", name] = {
        "TrainingJobName": name,
        "TrainingJobArn": arn,
        "TrainingJobStatus": "InProgress",
        "ResourceConfig": resources,
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        **more,
    }


def test_jobs_and_trials_in_progress_bill_but_not_those_of_others():
    platform = fake_platform(bills=True)
    job(platform, "train", TAGS)
    job(platform, "theirs", [])
    job(platform, "done", TAGS, TrainingJobStatus="Completed")
    search = "arn:aws:sagemaker:us-east-1:000000000000:hyper-parameter-tuning-job/tune"
    platform.sagemaker.tags[search] = TAGS
    job(platform, "trial", [], TuningJobArn=search)
    platform.bills = False
    found = still_billing(platform)
    assert [each.name for each in found] == ["train", "trial"]
    assert all(each.row["until (UTC)"] == "600 s after its start" for each in found)
    known = [each.usd_per_hour for each in found if each.usd_per_hour is not None]
    assert len(known) == 2
    said = total_sentence(found, bills=False)
    assert said.startswith(f"this would bill on AWS {sum(known, Decimal(0)):.4f} USD per hour")
