from __future__ import annotations

from pathlib import Path

import pytest
from botocore.exceptions import ParamValidationError

from platforms.local.client import LocalSageMaker, operation_names
from platforms.local.context import local_context
from tests.worlds.local.jobs import local_settings


@pytest.fixture
def sagemaker(tmp_path: Path) -> LocalSageMaker:
    return LocalSageMaker(local_context(local_settings(tmp_path)))


def test_the_operations_of_the_design(sagemaker: LocalSageMaker) -> None:
    """Create, describe, list and stop or delete, of each resource."""
    jobs = ("training_job", "hyper_parameter_tuning_job", "transform_job")
    hosting = ("model", "endpoint_config", "endpoint")
    wanted = {f"{verb}_{noun}" for verb in ("create", "describe", "stop") for noun in jobs}
    wanted |= {f"{verb}_{noun}" for verb in ("create", "describe", "delete") for noun in hosting}
    wanted |= {f"list_{noun}s" for noun in (*jobs, *hosting)}
    wanted |= {
        *("update_endpoint", "add_tags", "list_tags", "delete_tags"),
        "list_training_jobs_for_hyper_parameter_tuning_job",
        "search",
    }
    assert wanted == set(sagemaker.operations)
    assert wanted <= set(operation_names())
    assert wanted <= set(dir(sagemaker))


def test_every_operation_validates(sagemaker: LocalSageMaker) -> None:
    for name in sagemaker.operations:
        with pytest.raises(ParamValidationError, match="NotAMember"):
            getattr(sagemaker, name)(NotAMember=1)


def test_an_operation_that_is_not_there(sagemaker: LocalSageMaker) -> None:
    with pytest.raises(AttributeError, match=r"create_pipeline.*create_training_job"):
        sagemaker.create_pipeline  # noqa: B018


def test_keyword_arguments_only(sagemaker: LocalSageMaker) -> None:
    with pytest.raises(TypeError):
        sagemaker.describe_training_job("job")


def test_responses_carry_metadata(sagemaker: LocalSageMaker) -> None:
    answer = sagemaker.list_training_jobs()
    assert answer["TrainingJobSummaries"] == []
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
