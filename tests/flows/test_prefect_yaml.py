"""``prefect.yaml``: one deployment a flow and platform, and no folder of any machine."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import yaml
from prefect import Flow
from prefect.utilities.importtools import import_object

from platforms import Settings
from tests.sources import ROOT

DESCRIBED = yaml.safe_load((ROOT / "prefect.yaml").read_text("utf-8"))
DEPLOYMENTS: list[dict[str, Any]] = DESCRIBED["deployments"]
PLATFORMS = get_args(Settings.model_fields["platform"].annotation)
FLOWS = {path.stem for path in (ROOT / "flows").glob("*.py")} - {"__init__", "hooks", "naming"}


def test_every_flow_has_a_deployment_for_each_platform():
    names = {(d["entrypoint"], d["name"]) for d in DEPLOYMENTS}
    of_each = {(f"flows.{f}.{f}", p) for f in FLOWS - {"recover_runs"} for p in PLATFORMS}
    assert names == of_each | {("flows.recover_runs.recover_runs", "all")}
    assert len(DEPLOYMENTS) == len(names)


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda d: f"{d['entrypoint']}-{d['name']}")
def test_a_deployment_says_where_its_jobs_run(deployment):
    environment = deployment["work_pool"]["job_variables"]["env"]
    if deployment["name"] != "all":
        assert environment["WHIPPET_PLATFORM"] == deployment["name"]
        # The tag that every run of that platform has, so that none has two for it.
        assert deployment["tags"] == ["whippet", f"platform:{deployment['name']}"]
    # Without signs of life nothing recovers a run.
    assert environment["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] == "30"
    flow = import_object(deployment["entrypoint"])
    assert isinstance(flow, Flow)
    for each in [deployment, *deployment.get("schedules", [])]:
        if each.get("parameters"):
            flow.validate_parameters(each["parameters"])


def test_no_deployment_changes_to_a_folder():
    # An empty list: null, or nothing, would be the folder of whoever deploys.
    assert DESCRIBED["pull"] == []
    assert not [d for d in DEPLOYMENTS if "pull" in d]


def test_what_needs_aws_is_not_scheduled_before_somebody_says_so():
    active = {
        (d["entrypoint"].rpartition(".")[2], d["name"])
        for d in DEPLOYMENTS
        for schedule in d.get("schedules", [])
        if schedule["active"]
    }
    assert active == {("clean_up", "local"), ("recover_runs", "all")}
