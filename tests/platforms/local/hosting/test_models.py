from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from platforms.local.client import LocalSageMaker
from tests.worlds.local.serving import ROLE, put_archive


@pytest.fixture
def sagemaker(context):
    return LocalSageMaker(context)


def container(context, name="m"):
    uri = put_archive(context, f"{name}.tar.gz", {"behaviour.txt": b"fine"})
    return {"Image": "image:1", "ModelDataUrl": uri, "Environment": {"LastTime": "x"}}


def create_model(sagemaker, context, name, **more):
    return sagemaker.create_model(
        ModelName=name, PrimaryContainer=container(context), ExecutionRoleArn=ROLE, **more
    )


def variant(model="m", name="AllTraffic", **more):
    return {
        "VariantName": name,
        "ModelName": model,
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.large",
        **more,
    }


def test_a_model_reads_back_as_it_was_created(sagemaker, context):
    arn = create_model(sagemaker, context, "m")["ModelArn"]
    described = sagemaker.describe_model(ModelName="m")
    assert described["PrimaryContainer"] == container(context)
    assert described["ModelArn"] == arn
    assert described["CreationTime"].tzinfo is not None
    assert "Tags" not in described
    with pytest.raises(ClientError, match="Cannot create already existing model"):
        create_model(sagemaker, context, "m")
    sagemaker.delete_model(ModelName="m")
    for operation in (sagemaker.describe_model, sagemaker.delete_model):
        with pytest.raises(ClientError, match=f'Could not find model "{arn}"'):
            operation(ModelName="m")


def test_a_model_without_its_archive_is_refused(sagemaker, context):
    missing = {**container(context), "ModelDataUrl": "s3://whippet-local/no/model.tar.gz"}
    with pytest.raises(ClientError, match="Could not find model data at s3://whippet-local/no/"):
        sagemaker.create_model(ModelName="m", PrimaryContainer=missing, ExecutionRoleArn=ROLE)
    assert sagemaker.list_models()["Models"] == []


def test_a_model_of_several_containers_is_refused(sagemaker, context):
    with pytest.raises(ClientError, match="has 2 containers"):
        sagemaker.create_model(
            ModelName="m", Containers=[container(context)] * 2, ExecutionRoleArn=ROLE
        )
    multi = {**container(context), "Mode": "MultiModel"}
    with pytest.raises(ClientError, match="Mode=SingleModel"):
        sagemaker.create_model(ModelName="m", PrimaryContainer=multi, ExecutionRoleArn=ROLE)


def test_a_config_needs_its_model_and_exactly_one_variant(sagemaker, context):
    create = sagemaker.create_endpoint_config
    with pytest.raises(ClientError, match='Could not find model "arn:aws:sagemaker'):
        create(EndpointConfigName="c", ProductionVariants=[variant()])
    create_model(sagemaker, context, "m")
    with pytest.raises(ClientError, match=r"production variants \['a', 'b'\]"):
        create(
            EndpointConfigName="c",
            ProductionVariants=[variant(name="a"), variant(name="b")],
        )
    arn = create(EndpointConfigName="c", ProductionVariants=[variant()])["EndpointConfigArn"]
    described = sagemaker.describe_endpoint_config(EndpointConfigName="c")
    assert described["ProductionVariants"] == [variant()]
    with pytest.raises(ClientError, match="already existing endpoint configuration"):
        create(EndpointConfigName="c", ProductionVariants=[variant()])
    sagemaker.delete_endpoint_config(EndpointConfigName="c")
    with pytest.raises(ClientError, match=f'Could not find endpoint configuration "{arn}"'):
        sagemaker.describe_endpoint_config(EndpointConfigName="c")


def test_fields_that_change_nothing_are_named(sagemaker, context, caplog):
    create_model(sagemaker, context, "m", EnableNetworkIsolation=True)
    sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant()])
    assert "does not honour EnableNetworkIsolation" in caplog.text
    assert "does not honour InstanceType" in caplog.text


def test_lists_come_in_pages_newest_first(sagemaker, context):
    for name in ("a1", "a2", "a3", "b1"):
        create_model(sagemaker, context, name)
    first = sagemaker.list_models(NameContains="a", MaxResults=2)
    assert [each["ModelName"] for each in first["Models"]] == ["a3", "a2"]
    # What comes or goes between two pages moves nothing else.
    sagemaker.delete_model(ModelName="a2")
    create_model(sagemaker, context, "a4")
    rest = sagemaker.list_models(NameContains="a", MaxResults=2, NextToken=first["NextToken"])
    assert [each["ModelName"] for each in rest["Models"]] == ["a1"]
    assert "NextToken" not in rest
    by_name = sagemaker.list_models(SortBy="Name", SortOrder="Ascending")["Models"]
    assert [each["ModelName"] for each in by_name] == ["a1", "a3", "a4", "b1"]
    created = by_name[1]["CreationTime"]
    assert len(sagemaker.list_models(CreationTimeAfter=created)["Models"]) == 2
    assert len(sagemaker.list_models(CreationTimeBefore=created)["Models"]) == 1
    with pytest.raises(ClientError, match="Invalid NextToken"):
        sagemaker.list_models(NextToken="rubbish")


def test_a_request_is_validated_against_the_services_model(sagemaker, context):
    with pytest.raises(ClientError, match="ValidationException"):
        create_model(sagemaker, context, "under_score")
