"""Label a folder of pictures with a trained model, by a batch transform job."""

from __future__ import annotations

from prefect import flow

from flows.hooks import FLOW_POLICY
from flows.naming import named
from tasks.runs.stages import stage
from tasks.stories.names import file_name
from tasks.transform.answers import TransformResult
from tasks.transform.parameters import Transform, TransformParameters
from tasks.transforming import (
    collect_answers,
    follow_transform_job,
    launch_transform_job,
    look_at_pictures,
    upload_pictures,
)


def _story(request: TransformParameters) -> str:
    return f"label {file_name(request.images)}"


@flow(name="transform-images", flow_run_name=named(_story), **FLOW_POLICY)
def transform_images(request: Transform) -> TransformResult:
    """Return where the answers were written, how many there are, and which pictures have none."""
    with stage("sync") as run:
        trained, pictures = look_at_pictures(request)
        upload_pictures(pictures)
    with stage("transform"):
        job = launch_transform_job(run, trained, pictures, request)
        ended = follow_transform_job(job, request.max_seconds)
        return collect_answers(run, ended, pictures, request)
