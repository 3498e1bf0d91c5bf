"""Configs and models that runs left when they died in between."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tasks.endpoints.inventory import meant_by
from tasks.endpoints.unused import list_unused
from tasks.parameters.upkeep import CleanUpParameters
from tests.worlds.fake_sagemaker import FakeSageMaker
from tests.worlds.platforms import fake_platform

OURS = [
    {"Key": "whippet:run", "Value": "r"},
    {"Key": "whippet:expires", "Value": "2026-01-01T00:00:00+00:00"},
]
ROLE = "arn:aws:iam::123456789012:role/a"


@pytest.fixture
def platform() -> Any:
    """One endpoint whose config and model are used, and what is left of others."""
    sagemaker = FakeSageMaker(page_size=2)
    for name, tags in (("used", OURS), ("left", OURS), ("foreign", []), ("modelless", OURS)):
        variant = {
            "VariantName": "a",
            "ModelName": "used" if name == "modelless" else name,
            "InitialInstanceCount": 1,
            "InstanceType": "ml.t2.medium",
        }
        sagemaker.create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=[variant], Tags=tags
        )
        if name != "modelless":
            sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, Tags=tags)
    sagemaker.create_model(ModelName="configless", ExecutionRoleArn=ROLE, Tags=OURS)
    # An endpoint of somebody else's holds what it uses, too.
    sagemaker.create_endpoint(EndpointName="theirs", EndpointConfigName="used", Tags=[])
    return fake_platform(sagemaker)


def test_only_what_is_ours_and_unused_is_listed(platform):
    found = list_unused(platform)
    assert [(each.kind, each.name) for each in found] == [
        ("EndpointConfig", "left"),
        ("EndpointConfig", "modelless"),
        ("Model", "left"),
        ("Model", "configless"),
    ]


def test_nothing_else_is_looked_at_without_anything_of_ours():
    sagemaker = FakeSageMaker()
    sagemaker.create_model(ModelName="theirs", ExecutionRoleArn=ROLE, Tags=[])
    assert list_unused(fake_platform(sagemaker)) == []
    assert "describe_endpoint" not in {name for name, _ in sagemaker.calls}


def test_what_has_not_expired_may_be_about_to_be_used(platform):
    found = list_unused(platform)
    before, after = (datetime(year, 6, 1, tzinfo=UTC) for year in (2025, 2026))
    assert meant_by(CleanUpParameters(), found, before) == []
    assert meant_by(CleanUpParameters(), found, after) == found
    assert meant_by(CleanUpParameters(all=True), found, before) == found
    assert meant_by(CleanUpParameters(endpoint="x", all=True), found, after) == []


def test_removing_twice_is_no_error(platform):
    for each in [*list_unused(platform), *list_unused(platform)]:
        each.resource.delete(platform.sagemaker, each.name)
    assert sorted(platform.sagemaker.names("model")) == ["foreign", "used"]
    assert sorted(platform.sagemaker.names("endpoint_config")) == ["foreign", "used"]
