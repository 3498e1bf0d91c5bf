from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from platforms.local.toolkit.entry_point import (
    EntryPointError,
    command,
    kind,
    prepare,
    program,
    python_path,
    shown,
    submit_directory,
)


@pytest.mark.parametrize(
    "name", [None, "", "/etc/train.py", "../train.py", "a/./b.py", "-c.py", "my train.py", "4"]
)
def test_programs_that_are_none(name: str | None) -> None:
    request = {"HyperParameters": {} if name is None else {"sagemaker_program": name}}
    with pytest.raises(EntryPointError, match="sagemaker_program"):
        program(request)


def test_plain_and_quoted_names() -> None:
    for name in ("a/train.py", '"a/train.py"'):
        assert str(program({"HyperParameters": {"sagemaker_program": name}})) == "a/train.py"
    for uri in ("s3://b/k", '"s3://b/k"'):
        assert submit_directory({"HyperParameters": {"sagemaker_submit_directory": uri}}) == (
            "s3://b/k"
        )
    with pytest.raises(EntryPointError, match="/opt/ml/code"):
        submit_directory({"HyperParameters": {"sagemaker_submit_directory": "/opt/ml/code"}})


def test_the_requests_variable_goes_before_the_hyperparameter() -> None:
    request = {
        "HyperParameters": {"sagemaker_program": "train.py"},
        "Environment": {"SAGEMAKER_PROGRAM": "other.py"},
    }
    assert str(program(request)) == "other.py"


@pytest.mark.parametrize(
    ("name", "files", "expected"),
    [
        ("train.py", (), ["train.py", "--lr", "a b"]),
        ("train.py", ("setup.py",), ["-m", "train", "--lr", "a b"]),
        ("bin/train.sh", ("setup.py",), "./bin/train.sh --lr 'a b'"),
        ("train", (), "./train --lr 'a b'"),
    ],
)
def test_how_an_entry_point_is_started(
    tmp_path: Path, name: str, files: tuple[str, ...], expected: list[str] | str
) -> None:
    for each in (name, *files):
        (tmp_path / each).parent.mkdir(exist_ok=True)
        (tmp_path / each).write_text("")
    given = {"sagemaker_program": name, "lr": "a b", "sagemaker_submit_directory": "s3://b/k"}
    request = {"HyperParameters": given}
    prepare(tmp_path, request)
    found = command(tmp_path, request)
    if isinstance(expected, str):
        assert found[0] == "-c"
        assert found[2] == shown(tmp_path, request) == expected
        assert (tmp_path / name).stat().st_mode & 0o111 == 0o111
    else:
        assert found == expected
        assert shown(tmp_path, request).startswith("python ")


def test_a_package_keeps_its_modules_in_src(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    request = {"HyperParameters": {"sagemaker_program": "train.py"}}
    assert python_path(tmp_path, request) == ["."]
    (tmp_path / "setup.py").write_text("")
    assert kind(tmp_path, PurePosixPath("train.py")) == "package"
    assert python_path(tmp_path, request) == [".", "src"]


def test_an_entry_point_that_is_not_there_or_leads_out(tmp_path: Path) -> None:
    given = {"sagemaker_program": "train.py", "sagemaker_submit_directory": "s3://b/k"}
    with pytest.raises(EntryPointError, match=r"train.py is not in s3://b/k"):
        prepare(tmp_path, {"HyperParameters": given})
    (tmp_path / "train.py").symlink_to("/etc/passwd")
    with pytest.raises(EntryPointError, match="leads out"):
        prepare(tmp_path, {"HyperParameters": given})
