"""The set-up as ``whippet doctor`` sees it: this checkout's, and broken ones."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from cli.doctor.setup import (
    check_boundary,
    check_disk,
    check_flows,
    check_home,
    check_job_environment,
    check_packages,
    check_platform,
    check_python,
    check_server,
    check_versions,
)
from cli.main import main
from platforms.local.boundary.mechanism import choose
from platforms.settings import PROJECT_ROOT, Settings
from tests.worlds.job_environment import job_python


def test_python() -> None:
    assert check_python(">=3.11,<3.13").outcome == "passed"
    old = check_python(">=3.20")
    assert old.outcome == "failed"
    assert ">=3.20" in old.found
    assert "make setup PYTHON=" in old.advice


@pytest.mark.slow
def test_packages() -> None:
    assert check_packages(["httpx>=0.28", "pillow>=12", "pydantic-settings"]).outcome == "passed"
    absent = check_packages(["httpx", "no-such.package>=1"])
    assert absent.outcome == "failed"
    assert absent.found == "not installed: no-such-package"
    assert "make setup" in absent.advice


def test_versions_that_differ_are_named(tmp_path: Path) -> None:
    constraints = tmp_path / "job.txt"
    constraints.write_text("# tried together\nTorch==2.14.1\nnumpy==2.2.6\nabsent==1\n")
    installed = {"torch": "2.14.1", "numpy": "2.3.0"}
    odd = check_versions(installed, constraints, "job")
    assert (odd.outcome, odd.name) == ("warning", "job versions")
    assert odd.found == "1 differ from constraints/job.txt: numpy 2.3.0 (tried: ==2.2.6)"
    assert check_versions({**installed, "numpy": "2.2.6"}, constraints, "job").outcome == "passed"


def test_a_flow_that_does_not_import_is_found(tmp_path: Path) -> None:
    file = tmp_path / "prefect.yaml"
    file.write_text("deployments:\n- {entrypoint: json.loads}\n- {entrypoint: cli.no_such.flow}\n")
    broken = check_flows(file)
    assert broken.outcome == "failed"
    assert "no_such" in broken.detail[-1]
    file.write_text("deployments:\n- {entrypoint: json.loads}\n- {entrypoint: cli.main.main}\n")
    assert check_flows(file).found == "the 2 entrypoints of prefect.yaml import"


def test_platform(tmp_path: Path) -> None:
    found = check_platform(Settings(home=tmp_path, bucket="a-bucket"))
    assert (found.outcome, found.found) == ("passed", "local, bucket a-bucket")


def test_home_must_be_writable(tmp_path: Path) -> None:
    absent = tmp_path / "l'été" / "home"
    assert check_home(absent).outcome == "passed"
    assert not absent.parent.exists()
    (tmp_path / "file").write_text("")
    assert "is not a folder" in check_home(tmp_path / "file").found
    kernel = check_home(Path("/proc/whippet"))
    assert kernel.outcome == "failed"
    assert "/proc" in kernel.found
    assert "WHIPPET_HOME" in kernel.advice


def test_the_boundary_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    none = check_boundary(Settings(home=tmp_path, boundary="none"))
    assert none.outcome == "warning"
    assert "no /opt/ml of their own (WHIPPET_BOUNDARY=none)" in none.found
    monkeypatch.setenv("PATH", str(tmp_path))
    choose.cache_clear()
    absent = check_boundary(Settings(home=tmp_path / "not yet", boundary="bubblewrap"))
    choose.cache_clear()
    assert absent.outcome == "failed"
    assert "WHIPPET_BOUNDARY='bubblewrap' does not work here" in absent.found


def test_a_full_disk_is_a_warning(tmp_path: Path) -> None:
    assert check_disk(tmp_path, least=0).outcome == "passed"
    assert check_disk(tmp_path / "absent", least=10**18).outcome == "warning"


def test_a_promised_server_must_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The discard port: nobody listens there, and the address leads nowhere else.
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    broken = check_server(Settings(home=tmp_path))
    assert broken.outcome == "failed"
    assert "PREFECT_API_URL='http://127.0.0.1:9/api'" in broken.found
    monkeypatch.delenv("PREFECT_API_URL")
    assert check_server(Settings(home=tmp_path)).outcome == "passed"


def test_a_job_environment_that_is_not_there_or_does_not_run(tmp_path: Path) -> None:
    def only(python: Path) -> tuple[str, str]:
        (check,) = check_job_environment(Settings(home=tmp_path, job_python=python))
        assert check.outcome == "failed"
        return check.found, check.advice

    found, advice = only(tmp_path / "absent" / "python")
    assert str(tmp_path / "absent" / "python") in found
    assert "make job-env" in advice
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho 'the library is gone' >&2\nexit 3\n")
    assert "does not run" in only(script)[0]  # not executable
    script.chmod(0o755)
    assert "the library is gone" in only(script)[0]
    # An interpreter without torch, such as this one, is named with what it lacks.
    assert "it lacks torch==" in only(Path(sys.executable))[0]


@pytest.mark.job
def test_this_checkouts_job_environment(tmp_path: Path) -> None:
    python = job_python()
    checks = list(check_job_environment(Settings(home=tmp_path, job_python=python)))
    assert checks[0].outcome == "passed"
    assert "torch 2." in checks[0].found


def test_libraries_of_the_image_that_are_not_there_are_a_warning(tmp_path: Path) -> None:
    pins = (PROJECT_ROOT / "constraints/job.txt").read_text("utf-8").split("\n")[1:-1]
    versions = dict(pin.lower().split("==") for pin in pins)
    versions.pop("tqdm")
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho '{json.dumps(versions)}'\n")
    python.chmod(0o755)
    checks = list(check_job_environment(Settings(home=tmp_path, job_python=python)))
    assert [each.outcome for each in checks] == ["passed", "warning", "passed"]
    assert checks[1].found == "scripts that import them fail: there is no tqdm"
    assert "make job-env" in checks[1].advice


@pytest.mark.slow
def test_without_a_job_environment_the_doctor_says_so_and_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WHIPPET_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WHIPPET_JOB_PYTHON", str(tmp_path / "no python"))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert main(["doctor"]) == 1
    output = capsys.readouterr().out
    assert "make job-env" in output
    assert "The model archive was not rehearsed" in output
    assert output.splitlines()[-1].endswith("1 failed")
