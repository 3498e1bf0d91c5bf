"""Records of runs for tests: an identity, and the parts that a test is about."""

from __future__ import annotations

from typing import Any

from tasks.runs.record_model import RunRecord
from tasks.runs.record_parts import BestTrial, Deployment, TrainedModel


def record_values(name: str = "r", **parts: Any) -> dict[str, Any]:
    """Return the JSON of a record with these parts."""
    return {"name": name, "token": "abc123", "flow_run_id": "id-1", **parts}


def run_record(name: str = "r", **parts: Any) -> RunRecord:
    """Return a record with these parts."""
    return RunRecord.model_validate(record_values(name, **parts))


def deployed(endpoint: str, expires: str = "") -> Deployment:
    """Return an endpoint that passed its smoke test."""
    return Deployment(
        endpoint=endpoint,
        endpoint_config=f"{endpoint}-c",
        model=f"{endpoint}-m",
        expires=expires,
        smoke_images=1,
        smoke_agreement=1.0,
    )


def best(job: str, **more: Any) -> BestTrial:
    """Return a search's best trial, by the name of its training job."""
    usual = {"tuning_job": "search", "objective": 0.5, "hyperparameters": {}, "tuned": []}
    return BestTrial(training_job=job, **{**usual, "edges": {}, **more})


def trained(model_data_uri: str) -> TrainedModel:
    """Return a finished training job, by the URI of its model."""
    return TrainedModel(
        job="a",
        model_data_uri=model_data_uri,
        output_uri="s3://b/output.tar.gz",
        test_uri="s3://b/test",
        metrics={},
        billable_seconds=1,
    )
