from __future__ import annotations

from pathlib import Path

import pytest

from platforms.archives import write_archive
from platforms.local.boundary.hard_coded import hard_coded_notice, hard_coded_paths
from platforms.settings import PROJECT_ROOT

USED = """
import os
torch.save(model, "/opt/ml/model/model.pth")
os.makedirs(name="/opt/ml/checkpoints")
path = os.path.join("/opt/ml", "model")
"""
HARMLESS = '''
"""Reads /opt/ml/input."""
import os
model = os.environ.get("SM_MODEL_DIR", "/opt/ml/model")
data = os.getenv("SM_CHANNEL_TRAIN", default)
other = "/opt/mlflow"
"/opt/ml/model is where the model goes"
'''


def archive(folder: Path, **files: str) -> Path:
    source = folder / "source"
    source.mkdir()
    for name, text in files.items():
        (source / f"{name}.py").write_text(text)
    target = folder / "sourcedir.tar.gz"
    write_archive(source, target)
    return target


def test_what_a_script_would_use_is_found(tmp_path: Path) -> None:
    source = archive(tmp_path, train=USED, broken="def (", fine=HARMLESS)
    assert hard_coded_paths(source) == ["train.py:3", "train.py:4", "train.py:5"]
    notice = hard_coded_notice(source)
    assert notice is not None
    assert "train.py:3" in notice
    assert "SM_MODEL_DIR" in notice


def test_what_is_never_used_is_not_found(tmp_path: Path) -> None:
    assert hard_coded_notice(archive(tmp_path, train=HARMLESS)) is None


def test_our_own_package_is_not_warned_of(tmp_path: Path) -> None:
    target = tmp_path / "sourcedir.tar.gz"
    source = tmp_path / "source"
    (source / "sm_entrypoints").mkdir(parents=True)
    for path in (PROJECT_ROOT / "sm_entrypoints").glob("*.py"):
        (source / "sm_entrypoints" / path.name).write_bytes(path.read_bytes())
    write_archive(source, target)
    assert hard_coded_paths(target) == []


@pytest.mark.parametrize("content", [b"", b"no archive"])
def test_what_cannot_be_read_has_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tar.gz").write_bytes(content)
    assert hard_coded_paths(tmp_path / "a.tar.gz") == []
