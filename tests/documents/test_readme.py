"""What the README promises, as far as no other test holds it to its word."""

from __future__ import annotations

import re

import pytest
import yaml

from cli.operation.worker import POOL
from platforms import Settings
from tasks.parameters.run import DataParameters
from tasks.runs.record import METRICS_FILE, PREDICTIONS_FILE, REPORT_FILE, RUN_FILE, TRIALS_FILE
from tests.documents.reading import README, calls
from tests.sources import ROOT, tracked


def test_it_is_short() -> None:
    assert len(README.splitlines()) <= 130


def test_there_is_one_command_for_the_main_job_and_one_for_the_tests() -> None:
    sections = dict(re.findall(r"^## (.*?)\n+```sh\n(.*?)```", README, re.S | re.M))
    assert sections["Run it"].strip() == "make demo"
    assert sections["Test it"].strip() == "make test"
    assert "WHIPPET_PLATFORM=aws" in sections["Run it on AWS"]


def test_the_tree_is_the_tree() -> None:
    (block,) = re.findall(r"## The tree\n+```text\n(.*?)```", README, re.S)
    named = set(re.findall(r"(?:^|\s)([a-z_]+)/(?=[\s,])", block, re.M))
    paths = [path.relative_to(ROOT) for path in tracked()]
    folders = {path.parts[0] for path in paths if len(path.parts) > 1}
    assert {name for name in folders if not name.startswith(".")} == named


def test_the_files_that_a_run_leaves_are_named() -> None:
    for name in (RUN_FILE, REPORT_FILE, TRIALS_FILE, METRICS_FILE, PREDICTIONS_FILE):
        assert f"`{name}`" in README
    assert "`.whippet/runs/latest`" in README


def test_settings_that_it_names_exist() -> None:
    named = set(re.findall(r"\bWHIPPET_([A-Z0-9_]+)", README))
    assert "HOME" in named
    assert named <= {field.upper() for field in Settings.model_fields}
    # All of them are on a page of their own, which tests/cli/test_settings_page.py holds to it.
    assert "](docs/settings.md)" in README


def test_the_scheduled_run_is_a_deployment_with_parameters_that_it_takes() -> None:
    from flows.release_model import release_model

    described = yaml.safe_load((ROOT / "prefect.yaml").read_text("utf-8"))
    (run,) = [call.arguments for call in calls("prefect", "README.md")]
    # What `whippet up` makes is what the deployments ask for.
    assert {deployment["work_pool"]["name"] for deployment in described["deployments"]} == {POOL}
    assert run[:3] == ["deployment", "run", f"{release_model.name}/local"]
    given = [run[i + 1].partition("=") for i, word in enumerate(run) if word == "-p"]
    parameters = release_model.validate_parameters({n: yaml.safe_load(v) for n, _, v in given})
    assert isinstance(parameters["data"], DataParameters)
    assert (ROOT / parameters["data"].path).is_dir()


@pytest.mark.parametrize("name", ["orchestrator", "job"])
def test_constraints_are_exact_and_name_no_place(name: str) -> None:
    text = (ROOT / "constraints" / f"{name}.txt").read_text("utf-8")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    assert len(lines) > 20
    for line in lines:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!_-]+(\s*;.*)?", line.strip()), line
    assert "://" not in text
    assert "index" not in text.lower()
