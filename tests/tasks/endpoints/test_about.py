"""What is said of an endpoint, whoever made it and whatever is left of it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from platforms.errors import EndpointFailed
from tasks.endpoints.about import about_endpoint, require_answering
from tests.worlds.fake_sagemaker import FakeSageMaker
from tests.worlds.platforms import deploy, fake_platform


@pytest.fixture
def sagemaker() -> FakeSageMaker:
    fake = FakeSageMaker()
    deploy(fake, "ours", datetime(2026, 1, 1, tzinfo=UTC))
    return fake


def test_the_kind_the_model_and_the_run_are_said(sagemaker):
    text = about_endpoint(fake_platform(sagemaker), "ours")
    assert "endpoint 'ours' is real-time (ml.t2.medium), InService" in text
    assert "ours-model (s3://b/m.tar.gz)" in text
    assert "run     demo" in text


def test_an_endpoint_without_its_config_is_what_it_says_itself(sagemaker):
    sagemaker.delete_endpoint_config(EndpointConfigName="ours-config")
    platform = fake_platform(sagemaker)
    assert "endpoint 'ours' is real-time, InService" in about_endpoint(platform, "ours")
    variants = [{"VariantName": "primary", "CurrentServerlessConfig": {"MaxConcurrency": 1}}]
    sagemaker.resources["endpoint", "ours"]["ProductionVariants"] = variants
    text = about_endpoint(platform, "ours")
    assert "endpoint 'ours' is serverless, InService" in text
    assert "model   its configuration no longer exists" in text


def test_what_is_not_there_or_does_not_answer_is_said(sagemaker):
    platform = fake_platform(sagemaker)
    with pytest.raises(EndpointFailed, match="there is no endpoint 'none'"):
        require_answering(platform, "none")
    sagemaker.resources["endpoint", "ours"]["EndpointStatus"] = "Failed"
    with pytest.raises(EndpointFailed, match=r"is real-time \(ml.t2.medium\), Failed"):
        require_answering(platform, "ours")
