"""SDK v3, unmodified: resources are created, got, listed and invoked.

Usage: resources_v3.py SOURCE_URI DATA_URI BUCKET ROLE PICTURE; prints one JSON line.
"""

import json
import sys
from pathlib import Path

from sagemaker.core.resources import Endpoint, EndpointConfig, Model, TrainingJob
from sagemaker.core.shapes import (
    AlgorithmSpecification,
    Channel,
    ContainerDefinition,
    DataSource,
    OutputDataConfig,
    ProductionVariant,
    ResourceConfig,
    S3DataSource,
    StoppingCondition,
)

source, data, bucket, role, picture = sys.argv[1:]
found = {}

job = TrainingJob.create(
    training_job_name="by-v3",
    role_arn=role,
    algorithm_specification=AlgorithmSpecification(
        training_image="pytorch-training:2.6", training_input_mode="File"
    ),
    hyper_parameters={
        "sagemaker_program": "train.py",
        "sagemaker_submit_directory": source,
        "epochs": "1",
    },
    input_data_config=[
        Channel(
            channel_name="train",
            data_source=DataSource(
                s3_data_source=S3DataSource(s3_data_type="S3Prefix", s3_uri=data)
            ),
        )
    ],
    output_data_config=OutputDataConfig(s3_output_path=f"s3://{bucket}/v3"),
    resource_config=ResourceConfig(
        instance_type="ml.m5.xlarge", instance_count=1, volume_size_in_gb=10
    ),
    stopping_condition=StoppingCondition(max_runtime_in_seconds=300),
)
job.wait(poll=1)
again = TrainingJob.get("by-v3")
found["status"] = again.training_job_status
found["listed"] = [each.training_job_name for each in TrainingJob.get_all(name_contains="by-v3")]
archive = again.model_artifacts.s3_model_artifacts

Model.create(
    model_name="by-v3",
    execution_role_arn=role,
    primary_container=ContainerDefinition(
        image="pytorch-inference:2.6",
        model_data_url=archive,
        environment={"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": source},
    ),
)
EndpointConfig.create(
    endpoint_config_name="by-v3",
    production_variants=[
        ProductionVariant(
            variant_name="AllTraffic",
            model_name="by-v3",
            initial_instance_count=1,
            instance_type="ml.m5.xlarge",
        )
    ],
)
endpoint = Endpoint.create(endpoint_name="by-v3", endpoint_config_name="by-v3")
try:
    endpoint.wait_for_status("InService", poll=1)
    answer = endpoint.invoke(
        body=Path(picture).read_bytes(), content_type="image/jpeg", accept="application/json"
    )
    found["prediction"] = json.loads(answer.body.read())
    found["endpoints"] = [each.endpoint_name for each in Endpoint.get_all()]
finally:
    endpoint.delete()
    EndpointConfig.get("by-v3").delete()
    Model.get("by-v3").delete()
# What waiting printed may not have ended its line.
print("\n" + json.dumps(found))
