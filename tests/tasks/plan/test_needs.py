"""What a plan says that an account must have."""

from __future__ import annotations

from tasks.plan.needs import needs
from tasks.plan.requests import PlannedRequest


def test_the_images_and_instances_of_the_requests_are_looked_at() -> None:
    job = {"AlgorithmSpecification": {"TrainingImage": "training:cuda"}}
    requests = [
        PlannedRequest(operation="Tune", request={"TrainingJobDefinition": job}),
        PlannedRequest(
            operation="Train", request={**job, "HyperParameters": {"Image": {"x": "y"}}}
        ),
        PlannedRequest(operation="Model", request={"PrimaryContainer": {"Image": "serving:cpu"}}),
    ]
    quotas = {
        "ml.g5.xlarge for training job usage": 2,
        "ml.g5.xlarge for spot training job usage": 1,
        "ml.t2.medium for endpoint usage": 1,
    }
    found = needs(quotas, requests)
    assert found.images == ("training:cuda", "serving:cpu")
    assert found.instance_types == ("ml.g5.xlarge", "ml.t2.medium")
    assert found.quotas == quotas
