from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from platforms.local.client import LocalSageMaker
from platforms.local.context import local_context
from platforms.local.records import now
from platforms.settings import Settings

TAGS = [{"Key": "whippet:digest", "Value": "abc é"}]
KINDS = {
    "training-job": ("training-jobs", "TrainingJobArn"),
    "hyper-parameter-tuning-job": ("tuning-jobs", "HyperParameterTuningJobArn"),
    "model": ("models", "ModelArn"),
    "endpoint-config": ("endpoint-configs", "EndpointConfigArn"),
    "endpoint": ("endpoints", "EndpointArn"),
}


@pytest.fixture
def context(tmp_path):
    return local_context(Settings(home=tmp_path))


@pytest.mark.parametrize("resource", KINDS)
def test_every_kind_has_tags(context, resource):
    kind, member = KINDS[resource]
    arn = context.arn(resource, "Mixed-Case")
    context.records.create(kind, "Mixed-Case", {member: arn, "CreationTime": now(), "Tags": TAGS})
    sagemaker = LocalSageMaker(context)
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == TAGS
    changed = [{"Key": "whippet:digest", "Value": "new"}, {"Key": "b", "Value": ""}]
    assert sagemaker.add_tags(ResourceArn=arn, Tags=changed)["Tags"] == changed
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["whippet:digest", "never was"])
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == changed[1:]
    many = [{"Key": f"key{number}", "Value": "v"} for number in range(50)]
    with pytest.raises(ClientError, match="ResourceLimitExceeded"):
        sagemaker.add_tags(ResourceArn=arn, Tags=many)
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == changed[1:]


@pytest.mark.parametrize("resource", ["model", "pipeline"])
def test_an_unknown_resource_is_named(context, resource):
    arn = f"arn:aws:sagemaker:us-east-1:000000000000:{resource}/nobody"
    with pytest.raises(ClientError, match=f'Could not find resource "{arn}"'):
        LocalSageMaker(context).list_tags(ResourceArn=arn)
