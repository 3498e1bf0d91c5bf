"""An endpoint that does not come up leaves nothing behind, whatever the reason."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from flows.deploy_model import deploy_model
from platforms import Settings
from platforms.archives import extract_archive, write_archive
from platforms.errors import EndpointFailed, JobFailed
from tasks.approval.asking import asked_by
from tasks.approval.question import Reply
from tasks.costs.cap import BudgetError
from tasks.parameters.deployment import CostParameters
from tasks.parameters.run import DeploymentParameters
from tasks.runs.record import read_run

pytestmark = [pytest.mark.slow, pytest.mark.job]

WILL_NOT_LOAD = 'def model_fn(model_dir):\n    raise RuntimeError("the é layer is missing")\n'


@pytest.fixture
def home(released, monkeypatch) -> Path:
    monkeypatch.setenv("WHIPPET_HOME", str(released.whippet.home))
    return released.whippet.home


@contextmanager
def inference_program(archive: Path, text: str, scratch: Path) -> Iterator[None]:
    """Give a model archive another ``inference.py`` for a while."""
    kept = scratch / "kept.tar.gz"
    shutil.copy(archive, kept)
    extract_archive(archive, scratch / "model")
    (scratch / "model" / "code" / "inference.py").write_text(text, encoding="utf-8")
    write_archive(scratch / "model", archive)
    try:
        yield
    finally:
        kept.replace(archive)


def hosting(platform) -> list[list[str]]:
    """Return the names of all endpoints, endpoint configs and models."""
    sagemaker = platform.sagemaker
    endpoints = sagemaker.list_endpoints(MaxResults=100)["Endpoints"]
    configs = sagemaker.list_endpoint_configs(MaxResults=100)["EndpointConfigs"]
    models = sagemaker.list_models(MaxResults=100)["Models"]
    return [
        sorted(found["EndpointName"] for found in endpoints),
        sorted(found["EndpointConfigName"] for found in configs),
        sorted(found["ModelName"] for found in models),
    ]


def test_a_person_sees_the_model_in_service_beside_the_new_one(released, home):
    """It is asked about the same pictures; a no leaves it alone, and starts nothing."""
    platform = released.whippet.platform
    before, asked = hosting(platform), []

    def no(question, look):
        asked.append(question)
        return Reply("no", "the old one will do")

    with asked_by(no):
        state = deploy_model(
            released.record["jobs"]["training"],
            DeploymentParameters(approve="when_worse"),
            return_state=True,
        )
    assert state.message.startswith("Not deployed: the old one will do")
    assert hosting(platform) == before
    record = state.result()
    found = record.comparison
    # One model on both sides, which so few pictures do not show.
    assert (found.pictures, found.outcome) == (6, "too few pictures to tell")
    assert (found.only_new_right, found.only_old_right) == (0, 0)
    assert found.endpoint == released.record["endpoint"]["endpoint"]
    assert found.both_right / 6 == pytest.approx(released.record["evaluation"]["accuracy"])
    (question,) = asked
    assert "Too few pictures to tell" in question.markdown
    assert question.markdown.count(".jpg |") == 6
    assert record.approval.reason == "the old one will do"
    assert read_run(Settings(), record.name).status == "refused"


def test_a_model_that_does_not_load_leaves_nothing(released, home, tmp_path):
    platform = released.whippet.platform
    before = hosting(platform)
    assert [len(names) for names in before] == [1, 1, 1]
    uri = released.record["training"]["model_data_uri"]
    archive = home / "s3" / uri.removeprefix("s3://")
    with (
        inference_program(archive, WILL_NOT_LOAD, tmp_path),
        pytest.raises(EndpointFailed, match="the é layer is missing") as failure,
    ):
        deploy_model(released.record["jobs"]["training"], DeploymentParameters())
    assert "is Failed" in str(failure.value)
    assert "did not pass the ping health check" in str(failure.value)
    assert hosting(platform) == before
    record = released.whippet.record("latest")
    assert record["status"] == "failed"
    assert "the é layer is missing" in record["error"]


def test_a_model_can_be_deployed_again_by_its_jobs_name(released, home):
    platform = released.whippet.platform
    before = hosting(platform)
    found = deploy_model(
        released.record["jobs"]["training"], DeploymentParameters(smoke_images=2, top_k=1)
    )
    assert found.smoke_images == 2
    assert found.smoke_agreement >= 0.75
    after = hosting(platform)
    assert [len(names) for names in after] == [2, 2, 2]
    ended = released.whippet.run("clean-up", found.endpoint, "--yes")
    assert ended.code == 0, ended.err
    assert f"removed {found.endpoint}" in ended.out
    assert hosting(platform) == before


def test_an_endpoint_that_passes_its_cap_is_not_created(released, home):
    before = hosting(released.whippet.platform)
    with pytest.raises(BudgetError, match=r"max_usd=0.40 is too small: .* up to 0.56 USD in 8 h"):
        deploy_model(
            released.record["jobs"]["training"], cost=CostParameters(max_usd=Decimal("0.40"))
        )
    assert hosting(released.whippet.platform) == before


def test_what_was_not_trained_is_not_deployed(released, home):
    with pytest.raises(JobFailed, match="there is no training job 'nobody': see `whippet jobs`"):
        deploy_model("nobody")
