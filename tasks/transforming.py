"""Tasks of a batch transform: send pictures, launch or adopt, follow, collect the answers."""

from __future__ import annotations

from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact

from platforms import connect
from tasks.cancelling.watch import CancelWatch, end_if_stopped
from tasks.parameters.typed_path import expanded
from tasks.plan.text import usd
from tasks.runs.names import RunIdentity, resource_name
from tasks.runs.record import record
from tasks.runs.record_model import RunFacts
from tasks.runs.record_parts import TrainedModel
from tasks.runs.task_policy import policy
from tasks.transform.answers import (
    TransformResult,
    read_answers,
    require_writable,
    transform_markdown,
    write_answers,
)
from tasks.transform.job import (
    Ended,
    follow,
    launch,
    model_to_ask,
    remove_model,
    require_answers,
    send_pictures,
)
from tasks.transform.parameters import TransformParameters
from tasks.transform.pictures import Pictures, find_pictures
from tasks.transform.request import output_uri, require_within_budget


@task(name="check pictures", task_run_name="check pictures in {parameters.images}", **policy(3600))
def look_at_pictures(parameters: TransformParameters) -> tuple[TrainedModel, Pictures]:
    """Check everything that can be checked before anything is sent; return model and pictures."""
    platform = connect()
    require_writable(expanded(parameters.out), parameters.out)
    worst = require_within_budget(platform, parameters)
    pictures = find_pictures(expanded(parameters.images), parameters.images)
    trained = model_to_ask(platform, parameters.training_job)
    get_run_logger().info(
        "%d pictures for the model of %s, at most %s", len(pictures.found), trained.job, usd(worst)
    )
    return trained, pictures


@task(name="send pictures", **policy(3600))
def upload_pictures(pictures: Pictures) -> int:
    """Bring the pictures to the bucket; return how many were not there yet."""
    return send_pictures(connect(), pictures)


@task(name="launch transform job", **policy(600))
def launch_transform_job(
    run: RunIdentity,
    trained: TrainedModel,
    pictures: Pictures,
    parameters: TransformParameters,
) -> str:
    """Create the transform job, or adopt the one of this run; return its name."""
    platform = connect()
    # Before there is one: whoever stops this run looks here whether there may be.
    jobs = {"transform": resource_name(run, "transform")}
    record(platform.settings, run, RunFacts(jobs=jobs))
    name = launch(platform, run, trained, pictures, parameters)
    get_run_logger().info("transform job %s", name)
    return name


@task(name="follow transform job", task_run_name="follow {name}", **policy(6 * 86_400.0))
def follow_transform_job(name: str, max_seconds: int) -> Ended:
    """Wait for the job's end, whatever it is."""
    ended = follow(connect(), name, max_seconds, interrupt=CancelWatch().look)
    end_if_stopped(ended.status)
    return ended


@task(name="collect answers", **policy(3600))
def collect_answers(
    run: RunIdentity, ended: Ended, pictures: Pictures, parameters: TransformParameters
) -> TransformResult:
    """Write the answers to their file and publish the first of them.

    Raises:
        JobFailed: there is no answer at all.
    """
    platform = connect()
    uri = output_uri(platform, pictures, ended.job)
    answers = read_answers(platform, pictures, uri, ended.reason)
    failed = [each.image for each in answers if each.error]
    require_answers(ended, len(answers) - len(failed))
    write_answers(answers, expanded(parameters.out))
    remove_model(platform, run)
    create_markdown_artifact(transform_markdown(answers, parameters.out), key="transform")
    return {"out": parameters.out, "answered": len(answers) - len(failed), "failed": failed}
