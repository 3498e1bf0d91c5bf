"""What a deployment by itself is said to cost, and the cap that refuses it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from platforms.errors import ParameterError
from tasks.costs.cap import BudgetError
from tasks.parameters.run import DeploymentParameters
from tasks.plan.deployment import deployment_markdown, deployment_plan
from tasks.plan.requests import UNNAMED
from tasks.runs.record_parts import TrainedModel
from tests.worlds.platforms import fake_platform

TRAINED = TrainedModel(
    job="job",
    model_data_uri="s3://bucket/jobs/job/output/model.tar.gz",
    output_uri="s3://bucket/jobs/job/output/output.tar.gz",
    test_uri="",
    metrics={},
    billable_seconds=1,
)


@pytest.fixture
def platform(tmp_path) -> Any:
    return fake_platform(home=tmp_path / "home", bills=True)


def plan(platform, max_usd=None, **deployment):
    chosen = DeploymentParameters(**deployment)
    cap = None if max_usd is None else Decimal(max_usd)
    return deployment_plan(platform, UNNAMED, TRAINED, chosen, cap)


def test_the_endpoint_is_priced_for_its_time_to_live_and_the_hour_after_it(platform):
    found = plan(platform, instance_type="ml.m5.xlarge", instance_count=2, hours_to_live=3)
    hour = 2 * (Decimal("0.23") + Decimal("0.14") * 30 / 730)
    assert found.worst_usd == pytest.approx(4 * hour)
    assert found.hour_usd == pytest.approx(hour)
    assert found.quotas == {"ml.m5.xlarge for endpoint usage": 2}
    assert [each.operation for each in found.requests] == [
        "CreateModel",
        "CreateEndpointConfig",
        "CreateEndpoint",
    ]


def test_an_endpoint_that_scales_is_capped_at_its_largest(platform):
    assert plan(platform, "0.60", instance_type="ml.t2.medium", hours_to_live=8).worst_usd
    with pytest.raises(BudgetError, match=r"max_usd=0.60 is too small: .* up to 1.67 USD in 8 h"):
        plan(platform, "0.60", instance_type="ml.t2.medium", hours_to_live=8, max_instances=3)


def test_what_bills_by_use_cannot_be_capped(platform):
    assert plan(platform, kind="serverless").worst_usd is None
    with pytest.raises(ParameterError, match=r"max_usd=5 cannot be guaranteed: .* is not known"):
        plan(platform, "5", kind="serverless")


def test_an_instance_that_there_is_not_is_refused(platform):
    with pytest.raises(ParameterError, match=r"no instance type 'ml.m5.xlarg' for hosting"):
        plan(platform, instance_type="ml.m5.xlarg")


def test_the_plan_in_words(platform):
    said = deployment_markdown(plan(platform, instance_type="ml.t2.medium", hours_to_live=8))
    assert "at most $0.56 for 8 h, and up to 1 h until its clean-up" in said
    assert "until it is removed: $0.062 per hour, $45.08 per month" in said
    assert "quota: ml.t2.medium for endpoint usage, at least 1" in said
    assert "here it is free" not in said
