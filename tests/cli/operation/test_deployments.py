"""When deployments are applied again: the rest is tried on a server (tests/flows)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cli.operation.deployments import FILE, digest_of
from platforms.settings import PROJECT_ROOT


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """What forms are made of."""
    for folder in ("flows", "tasks/parameters", "sm_entrypoints/contract"):
        shutil.copytree(PROJECT_ROOT / folder, tmp_path / folder)
    return tmp_path


def test_a_copy_of_the_project_has_the_same_deployments(project: Path) -> None:
    assert digest_of(FILE, project) == digest_of(FILE)


@pytest.mark.parametrize(
    "changed",
    [
        "flows/release_model.py",
        "tasks/parameters/options_of_jobs.py",
        "sm_entrypoints/contract/choices.py",
    ],
)
def test_another_form_is_applied_again(project: Path, changed: str) -> None:
    source = project / changed
    source.write_text(source.read_text("utf-8").replace("title", "titel") + "\n", "utf-8")
    assert digest_of(FILE, project) != digest_of(FILE)
