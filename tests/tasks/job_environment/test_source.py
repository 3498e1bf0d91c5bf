from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import obstore
import pytest
from obstore.store import MemoryStore

from platforms.errors import SettingsError
from platforms.settings import PROJECT_ROOT
from tasks.job_environment.source import package_source, upload_source


@pytest.fixture
def project(tmp_path: Path) -> Path:
    package = tmp_path / "a project's" / "sm_entrypoints"
    package.mkdir(parents=True)
    for name in ("__init__.py", "train.py", "model.py"):
        (package / name).write_text(f"NAME = {name!r}\n")
    (package / "requirements.txt").write_text("safetensors\noptuna\n")
    (package / "serving").mkdir()
    (package / "serving" / "requirements.txt").write_text("safetensors\n")
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "train.cpython-311.pyc").write_bytes(b"x")
    return package.parent


def test_archive_holds_sources_and_requirements_at_the_root(project: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(package_source(project).data)) as tar:
        members = tar.getmembers()
        assert [member.name for member in members] == [
            "requirements.txt",
            "sm_entrypoints/__init__.py",
            "sm_entrypoints/model.py",
            "sm_entrypoints/serving/requirements.txt",
            "sm_entrypoints/train.py",
        ]
        assert {(m.mtime, m.mode, m.uid, m.gid, m.uname) for m in members} == {(0, 0o644, 0, 0, "")}


def test_same_sources_give_the_same_bytes(project: Path, tmp_path: Path) -> None:
    first = package_source(project)
    copy = shutil.copytree(project, tmp_path / "copy")
    for path in (copy / "sm_entrypoints").iterdir():
        path.chmod(0o755)
        os.utime(path, (0, 10**9))
    assert package_source(copy) == first
    (copy / "sm_entrypoints" / "model.py").write_text("NAME = 'other'\n")
    assert package_source(copy).digest != first.digest


def test_missing_entry_points_are_named(project: Path) -> None:
    (project / "sm_entrypoints" / "train.py").unlink()
    with pytest.raises(SettingsError, match=r"train\.py' is missing"):
        package_source(project)


def test_upload_is_done_once(project: Path) -> None:
    store = MemoryStore()
    archive = package_source(project)
    uri = upload_source(archive, store, "bucket", "pre/fix")
    key = f"pre/fix/code/{archive.digest[:16]}/sourcedir.tar.gz"
    assert uri == f"s3://bucket/{key}"
    first = obstore.head(store, key)
    assert upload_source(archive, store, "bucket", "pre/fix") == uri
    assert obstore.head(store, key)["e_tag"] == first["e_tag"]
    assert bytes(obstore.get(store, key).bytes()) == archive.data


def test_our_own_sources_can_be_imported_from_the_archive(tmp_path: Path) -> None:
    archive = tmp_path / "sourcedir.tar.gz"
    archive.write_bytes(package_source(PROJECT_ROOT).data)
    code = tmp_path / "code"
    code.mkdir()
    subprocess.run(["tar", "-xzf", archive, "-C", code], check=True)
    program = "import sm_entrypoints.contract as c; print(c.__file__)"
    python = shutil.which("python3") or "python3"
    shown = subprocess.run(
        [python, "-c", program], cwd=code, check=True, capture_output=True, text=True
    )
    assert shown.stdout.strip() == str(code / "sm_entrypoints" / "contract" / "__init__.py")
