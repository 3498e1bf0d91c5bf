"""Tasks that ask an endpoint about images."""

from __future__ import annotations

from prefect import task
from prefect.artifacts import create_markdown_artifact

from dashboards.artifacts.tables import markdown_table
from platforms import connect
from tasks.endpoints.invoke import as_sent
from tasks.endpoints.predictions import (
    ask,
    content_type_of,
    predicted_images,
    query_command,
    read_image,
    suffix_of,
)
from tasks.parameters.typed_path import expanded
from tasks.runs.names import RunIdentity
from tasks.runs.record import record, run_folder
from tasks.runs.record_model import RunFacts
from tasks.runs.record_parts import Answer, Prediction, TrainedModel
from tasks.runs.task_policy import policy
from tasks.storage.uris import read_object


@task(name="query endpoint", task_run_name="ask {endpoint} about {image}", **policy(300))
def query(endpoint: str, image: str) -> list[Prediction]:
    """Send one image file to the endpoint; return and publish its predictions."""
    platform = connect()
    data, content_type = read_image(expanded(image), image)
    predictions = ask(platform, endpoint, data, content_type)
    rows = [p.model_dump() for p in predictions]
    create_markdown_artifact(
        f"# {endpoint}\n`{image}`\n\n" + markdown_table(rows, ["label", "probability"]),
        key="query",
    )
    return predictions


@task(name="query test image", task_run_name="ask {endpoint} about a test image", **policy(300))
def query_test_image(run: RunIdentity, trained: TrainedModel, endpoint: str) -> Answer:
    """Ask the endpoint about one test image and note the answer beside the true label."""
    platform = connect()
    path, _ = predicted_images(platform, run, 1)[0]
    image = read_object(platform, f"{trained.test_uri}/{path}")
    # What is kept is what was sent: the printed command sends the file as it is.
    image, content_type = as_sent(platform, endpoint, image, content_type_of(image))
    predictions = ask(platform, endpoint, image, content_type)
    saved = run_folder(platform.settings, run.name) / f"query{suffix_of(path, content_type)}"
    saved.write_bytes(image)
    answer = Answer(
        image=path,
        file=str(saved),
        label=path.split("/", 1)[0],
        predictions=predictions,
        command=query_command(platform, endpoint, str(saved)),
    )
    record(platform.settings, run, RunFacts(query=answer))
    return answer
