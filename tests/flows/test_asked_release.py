"""A release that asks, as a team runs it: own server, worker, schedule; a yes, a no, no answer.

Several whole runs: too long for every change (`make test-operation`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.flows.workers import ask, deployment_id, engine_of, put_up, start_run
from tests.worlds.pipeline import Whippet, tiny_data
from tests.worlds.receiver import receiving
from tests.worlds.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.job]


@pytest.fixture(scope="module")
def team(tmp_path_factory) -> Iterator[Whippet]:
    """What `whippet up` gives."""
    with put_up(tmp_path_factory.mktemp("team") / "whippet home") as found:
        yield found


@pytest.fixture(scope="module")
def parameters(tmp_path_factory) -> dict[str, Any]:
    data = tiny_data(tmp_path_factory.mktemp("pictures") / "photos")
    return {
        "data": {"path": str(data)},
        "model": {"architecture": "mobilenet_v2", "image_size": 32},
        "tuning": {"max_jobs": 2, "max_epochs": 2},
        "deployment": {"approve": "always"},
    }


def tags(team: Whippet, flow_run: str) -> list[str]:
    found: list[str] = ask(team, "GET", f"/flow_runs/{flow_run}").json()["tags"]
    return found


def state(team: Whippet, flow_run: str) -> str:
    return str(ask(team, "GET", f"/flow_runs/{flow_run}").json()["state_name"])


def suspended(team: Whippet, flow_run: str) -> bool:
    now = state(team, flow_run)
    assert now not in ("Failed", "Crashed", "Cancelled"), now
    return now == "Suspended"


def answer(team: Whippet, flow_run: str, **form: str) -> None:
    ask(team, "POST", f"/flow_runs/{flow_run}/resume", json={"run_input": form})


def billing(team: Whippet) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(team.run("status", "--json").out)["bills"]
    return found


def test_a_yes_deploys_what_was_trained_and_the_schedule_waits(team, parameters):
    with receiving() as hook:
        assert team.run("notify", "webhook", hook.url).code == 0
        flow_run = start_run(team, "release-model", parameters=parameters, name="asked")
        wait_for(lambda: suspended(team, flow_run), "question", seconds=280)
        wait_for(lambda: engine_of(flow_run) is None, "end of the process")
        assert billing(team) == []
        jobs = team.jobs()
        asked = wait_for(lambda: hook.about("deploy the model of run asked?"), "message")
        assert f"/runs/flow-run/{flow_run}" in asked["body"]
        assert asked["body"].endswith("report.html")
        (question,) = json.loads(team.run("status", "--json").out)["questions"]
        assert question["waits for a yes"] == "asked"
        # The next scheduled run, on a schedule that fires within seconds.
        schedules = f"/deployments/{deployment_id(team, 'release-model')}/schedules"
        often = {"schedule": {"interval": 20}, "active": True, "parameters": parameters}
        (made,) = ask(team, "POST", schedules, json=[often]).json()
        chosen = {
            "flow_runs": {
                "tags": {"all_": ["held-back"]},
                "state": {"type": {"any_": ["COMPLETED"]}},
            }
        }
        find = lambda: ask(team, "POST", "/flow_runs/filter", json=chosen).json()  # noqa: E731
        try:
            (held, *_) = wait_for(find, "run that is held back", seconds=180)
        finally:
            ask(team, "DELETE", f"{schedules}/{made['id']}")
        assert "'asked' waits for an answer" in held["state"]["message"]
        assert team.jobs() == jobs
        answer(team, flow_run, deploy="yes", reason="good enough")
        wait_for(lambda: state(team, flow_run) == "Completed", "deployment", seconds=280)
        wait_for(lambda: hook.about("model of run asked is in service"), "message")
    assert team.jobs() == jobs
    # The hook that closes the record runs after the server has the state.
    wait_for(lambda: team.record("asked")["status"] == "completed", "closed record")
    record = team.record("asked")
    assert record["approval"]["reason"] == "good enough"
    assert record["endpoint"]["endpoint"] in str(billing(team))


def test_a_no_and_no_answer_end_as_refused_beside_the_model_in_service(team, parameters):
    before = billing(team)
    refused = start_run(team, "release-model", parameters=parameters, name="refused")
    wait_for(lambda: suspended(team, refused), "question", seconds=280)
    late = {**parameters, "deployment": {"approve": "when_worse", "approve_hours": 0.003}}
    unanswered = start_run(team, "release-model", parameters=late, name="unanswered")
    answer(team, refused, deploy="no", reason="not now")
    wait_for(lambda: state(team, refused) == "Completed", "refusal", seconds=280)
    assert "refused" in tags(team, refused)
    comparison = team.record("refused")["comparison"]
    assert comparison["run"] == "asked"
    assert (comparison["pictures"], comparison["outcome"]) == (6, "too few pictures to tell")

    def swept() -> bool:
        now = state(team, unanswered)
        if now == "Failed":
            start_run(team, "recover-runs")
        return now == "Completed"

    wait_for(swept, "end of the unanswered run", seconds=280)
    wait_for(lambda: team.record("unanswered")["status"] == "refused", "closed record")
    record = team.record("unanswered")
    assert record["approval"]["answer"] == "no"
    assert record["approval"]["reason"].startswith("nobody answered by ")
    assert [each["bills"] for each in billing(team)] == [each["bills"] for each in before]
    assert Path(record["report"]).is_file()
