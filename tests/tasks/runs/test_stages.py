from __future__ import annotations

import pytest
from prefect import flow, tags

from flows.hooks import FLOW_POLICY
from platforms import Settings
from platforms.errors import JobFailed
from tasks.parameters.run import DataParameters
from tasks.runs.record import read_run
from tasks.runs.stages import RESUME_TAG, stage

pytestmark = pytest.mark.slow


@flow(**FLOW_POLICY)
def inner():
    with stage("train") as run:
        return run


@flow(**FLOW_POLICY)
def outer(data: DataParameters, *, fails: bool = False):
    with stage("sync") as run:
        if fails:
            raise JobFailed("training job 'x' ended Failed")
    return run, inner()


def test_subflows_share_their_roots_identity(prefect_server, whippet_home):
    first, second = outer.with_options(flow_run_name="été 1")(DataParameters(seed=3))
    assert first == second
    known = read_run(Settings(), "été 1")
    assert known.status == "completed"
    assert known.ended >= known.started
    assert set(known.seconds) == {"sync", "train"}
    assert known.group("data")["seed"] == 3
    assert known.flow_run_id == first.flow_run_id


def test_the_first_stage_may_be_in_a_subflow(prefect_server, whippet_home):
    @flow(**FLOW_POLICY)
    def root():
        return inner()

    run = root.with_options(flow_run_name="root name")()
    assert run.name == "root name"
    assert read_run(Settings(), "root name").status == "completed"


def test_a_failed_run_says_why_and_can_be_resumed(prefect_server, whippet_home):
    named = outer.with_options(flow_run_name="demo")
    with pytest.raises(JobFailed):
        named(DataParameters(), fails=True)
    known = read_run(Settings(), "demo")
    assert known.status == "failed"
    assert "training job 'x' ended Failed" in known.error
    assert "sync" in known.seconds, "the seconds of a failed stage are known too"

    with tags(RESUME_TAG):
        run, _ = named(DataParameters())
    assert (run.name, run.token) == ("demo", known.token)
    assert run.flow_run_id != known.flow_run_id
    again = read_run(Settings(), "latest")
    assert (again.status, again.error) == ("completed", None)


def test_the_same_name_without_resuming_is_another_run(prefect_server, whippet_home):
    named = outer.with_options(flow_run_name="demo")
    first, _ = named(DataParameters())
    second, _ = named(DataParameters())
    assert first.name == "demo"
    assert second.name == f"demo-{second.token}"
    assert first.prefix != second.prefix
