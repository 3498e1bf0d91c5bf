"""Prefect's pages over a real server and worker: start, watch, answer, cancel, schedule."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.by import By

from tests.flows.workers import ask, deployment_id, engine_of, start_run
from tests.ui.browser import PHONE, Person
from tests.worlds.pipeline import Whippet
from tests.worlds.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.job]
# The pages ask the server as well, and it is a small one.
until = partial(wait_for, pause=0.5)


def runs(team: Whippet, **chosen: object) -> list[dict[str, Any]]:
    """Return the runs of `release-model`, the newest first."""
    asked = {
        "flows": {"name": {"any_": ["release-model"]}},
        "flow_runs": chosen or None,
        "sort": "EXPECTED_START_TIME_DESC",
    }
    found: list[dict[str, Any]] = ask(team, "POST", "/flow_runs/filter", json=asked).json()
    return found


def state(team: Whippet, flow_run: str) -> str:
    return str(ask(team, "GET", f"/flow_runs/{flow_run}").json()["state_name"])


def is_now(team: Whippet, flow_run: str, wanted: str) -> Callable[[], bool]:
    """Return a look at a run's state, which fails when the run has ended otherwise."""

    def look() -> bool:
        now = state(team, flow_run)
        assert now == wanted or now not in ("Failed", "Crashed", "Cancelled", "Completed"), now
        return now == wanted

    return look


def opens_form(prefect: Person, team: Whippet) -> None:
    """Go from the list of deployments to the form of `release-model/local`."""
    prefect.open("/v2/deployments")
    prefect.sees("19 deployments")
    prefect.shoot("deployments")
    prefect.open(f"/v2/deployments/deployment/{deployment_id(team, 'release-model')}")
    prefect.sees("release-model")
    prefect.shoot("deployment")
    prefect.clicks("Run")
    prefect.clicks("Custom run")
    prefect.field("Folder of images")


def opens_run(prefect: Person, flow_run: str, tab: str = "Logs") -> None:
    prefect.open(f"/v2/runs/flow-run/{flow_run}")
    prefect.clicks(tab)


def test_nonsense_in_the_form_is_refused_with_the_name_of_its_field(
    team: Whippet, prefect: Person
) -> None:
    opens_form(prefect, team)
    prefect.shoot("form")
    before = len(runs(team))
    # A number's bounds and letters are the browser's business: it points at the field.
    prefect.fills("Trials", "many")
    assert prefect.field("Trials").get_attribute("value") == ""
    prefect.fills("Epochs of a trial", "900")
    prefect.clicks("Submit")
    epochs = prefect.field("Epochs of a trial")
    assert prefect.driver.switch_to.active_element == epochs
    assert "500" in str(epochs.get_attribute("validationMessage"))
    prefect.shoot("form-refused-by-the-browser")
    # Everything else is the server's.
    prefect.fills("Epochs of a trial", "2")
    prefect.fills("Instance type of jobs", "m5.large")
    prefect.clicks("Submit")
    said = prefect.sees("validation failed for field")
    assert "'resources.instance_type'" in said
    assert "'m5.large' does not match" in said
    prefect.shoot("form-refused-by-the-server")
    assert len(runs(team)) == before


def test_a_run_is_filled_in_started_and_watched_to_its_end(
    team: Whippet, prefect: Person, data: Path
) -> None:
    opens_form(prefect, team)
    prefect.fills("Folder of images", str(data))
    prefect.chooses("Architecture", "mobilenet_v2")
    prefect.fills("Image size (pixels)", "32")
    prefect.fills("Trials", "2")
    prefect.fills("Epochs of a trial", "2")
    prefect.shoot("form-filled-in")
    prefect.clicks("Submit")
    (run,) = prefect.finds(lambda: runs(team), "new run")
    opens_run(prefect, run["id"])
    prefect.sees("photos · mobilenet_v2 · 2 trials")
    prefect.sees("beginning flow run")
    prefect.shoot("run-at-work")
    prefect.sees("completed")
    until(is_now(team, run["id"], "Completed"), "end of the run")
    # The page looks for itself: nobody reloads it.
    prefect.finds(lambda: "Completed" in header(prefect), "state Completed at the top")
    prefect.shoot("run-completed")
    prefect.clicks("Details")
    assert "on 6 pictures, endpoint up until" in prefect.sees("state message")
    prefect.shoot("run-details")
    prefect.clicks("Artifacts")
    prefect.sees("run-plan")
    prefect.shoot("run-artifacts")


def header(prefect: Person) -> str:
    """Return what stands above a run's tabs."""
    return prefect.text().partition("Job Variables")[0]


def artifacts(team: Whippet, flow_run: str) -> dict[str, str]:
    """Return the ids of a run's artifacts by key."""
    asked = {"artifacts": {"flow_run_id": {"any_": [flow_run]}}}
    found = ask(team, "POST", "/artifacts/filter", json=asked).json()
    return {each["key"]: each["id"] for each in found}


def test_its_artifacts_and_its_report_can_be_read(team: Whippet, prefect: Person) -> None:
    (run,) = runs(team, state={"type": {"any_": ["COMPLETED"]}})
    found = artifacts(team, run["id"])
    assert len(found) > 1
    for key, identity in found.items():
        prefect.open(f"/v2/artifacts/artifact/{identity}")
        prefect.sees(key)
        prefect.shoot(f"artifact-{key}")
    report = team.home / "runs" / "latest" / "report.html"
    prefect.driver.get(report.resolve().as_uri())
    assert "verdict" in prefect.sees("accuracy").lower()
    prefect.shoot("report", (1280, 1000))
    prefect.shoot("report-on-a-phone", PHONE)
    assert prefect.driver.execute_script(
        "return document.documentElement.scrollWidth <= window.innerWidth"
    )
    prefect.shoot("report")


def answers(prefect: Person, flow_run: str, *, answer: str, why: str) -> None:
    """Answer a run's question, as a person does: the menu of its page, *Resume*, the form."""
    opens_run(prefect, flow_run)
    prefect.sees("suspended")
    prefect.clicks("Open menu")
    prefect.clicks("Resume", inside="[role=menu]")
    prefect.sees("deploy the model of run")
    prefect.shoot(f"question-{answer}")
    prefect.chooses("Deploy this model?", answer)
    prefect.fills("Why", why)
    prefect.shoot(f"question-answered-{answer}")
    prefect.clicks("Resume", inside="[role=dialog]")
    closes(prefect)


def closes(prefect: Person) -> None:
    """Wait until a dialog is gone: what it asked for was taken."""
    look = "[role=dialog], [role=alertdialog]"
    closed = lambda: not prefect.driver.find_elements(By.CSS_SELECTOR, look)  # noqa: E731
    prefect.finds(closed, "end of the dialog")


def test_a_suspended_run_is_approved(
    team: Whippet, prefect: Person, parameters: dict[str, Any]
) -> None:
    asked = {**parameters, "deployment": {"approve": "always"}}
    flow_run = start_run(team, "release-model", parameters=asked, name="approved")
    until(is_now(team, flow_run, "Suspended"), "question")
    until(lambda: engine_of(flow_run) is None, "end of the process")
    answers(prefect, flow_run, answer="yes", why="good enough")
    until(is_now(team, flow_run, "Completed"), "deployment")
    until(lambda: team.record("approved")["status"] == "completed", "closed record")
    assert team.record("approved")["approval"]["reason"] == "good enough"
    assert team.record("approved")["endpoint"]["endpoint"]
    opens_run(prefect, flow_run, "Details")
    prefect.sees("endpoint up until")
    prefect.shoot("run-approved")


def test_a_scheduled_run_fires_by_itself_is_refused_and_a_second_is_held_back(
    team: Whippet, prefect: Person, parameters: dict[str, Any]
) -> None:
    deployment = deployment_id(team, "release-model")
    schedules = f"/deployments/{deployment}/schedules"
    asked = {**parameters, "deployment": {"approve": "always"}}
    often = {"schedule": {"interval": 20}, "active": True, "parameters": asked}
    (made,) = ask(team, "POST", schedules, json=[often]).json()

    def by_schedule(name: str) -> list[dict[str, Any]]:
        found = runs(team, state={"name": {"any_": [name]}})
        return [each for each in found if each["auto_scheduled"]]

    def held_back() -> list[dict[str, Any]]:
        return [each for each in by_schedule("Completed") if "held-back" in each["tags"]]

    try:
        (waiting,) = until(lambda: by_schedule("Suspended"), "question of a scheduled run")
        (held, *_) = until(held_back, "run that is held back")
    finally:
        ask(team, "DELETE", f"{schedules}/{made['id']}")
    opens_run(prefect, held["id"], "Details")
    assert "waits for an answer" in prefect.sees("held back:")
    prefect.shoot("run-held-back")
    # Prefect's lists of runs show states of its own names only: ours have such, and tags.
    prefect.open(f"/v2/deployments/deployment/{deployment}?tab=Runs")
    assert "suspended" in prefect.sees("held-back").lower()
    prefect.shoot("runs-of-the-deployment")
    answers(prefect, waiting["id"], answer="no", why="not now")
    until(is_now(team, waiting["id"], "Completed"), "refusal")
    opens_run(prefect, waiting["id"], "Details")
    assert "not now" in prefect.sees("refused")
    prefect.shoot("run-refused")


def at_work(jobs: dict[str, str]) -> list[str]:
    """Return the jobs that are in progress."""
    return [name for name, status in jobs.items() if status == "InProgress"]


def test_a_cancel_in_mid_search_stops_its_job_and_its_trials(
    team: Whippet, prefect: Person, parameters: dict[str, Any]
) -> None:
    # So many that whichever is at work when the stop arrives has just begun.
    tuning: dict[str, Any] = {"max_jobs": 40, "max_epochs": 500, "strategy": "Random"}
    tuning |= {"fixed": {"patience": "0"}}
    before = set(team.jobs())
    flow_run = start_run(
        team, "release-model", parameters={**parameters, "tuning": tuning}, name="cancelled"
    )
    until(lambda: at_work(team.jobs()), "trial")
    (search,) = until(lambda: at_work(team.tuning_jobs()), "search")
    opens_run(prefect, flow_run)
    prefect.sees("running")
    prefect.shoot("run-before-the-cancel")
    prefect.clicks("Open menu")
    prefect.clicks("Cancel", inside="[role=menu]")
    prefect.shoot("cancel")
    prefect.clicks("Cancel Flow Run", inside="[role=dialog], [role=alertdialog]")
    closes(prefect)
    until(is_now(team, flow_run, "Cancelled"), "cancelled run")
    until(lambda: team.tuning_jobs()[search] == "Stopped", "stopped search")
    until(lambda: not at_work(team.jobs()), "end of the trials")
    trials = {name: status for name, status in team.jobs().items() if name not in before}
    assert "Stopped" in trials.values()
    assert len(trials) < 40
    until(lambda: team.record("cancelled")["status"] == "cancelled", "closed record")
    known = set(team.jobs())
    opens_run(prefect, flow_run, "Details")
    prefect.sees("cancelled")
    prefect.shoot("run-cancelled")
    assert set(team.jobs()) == known > before
    assert "cancelled" not in str(json.loads(team.run("status", "--json").out)["bills"])
