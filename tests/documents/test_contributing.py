"""CONTRIBUTING, SECURITY and the licence: every path that they name is there."""

from __future__ import annotations

import hashlib
import re
import tomllib

import pytest

from tests.sources import PACKAGES, ROOT

_PATH = re.compile(rf"`((?:{'|'.join(PACKAGES)}|tests|docs|platforms)/[\w./*<>-]*)`")


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "SECURITY.md"])
def test_paths_that_are_named_exist(name: str) -> None:
    named = {path for path in _PATH.findall((ROOT / name).read_text("utf-8")) if "<" not in path}
    assert len(named) > 1
    assert not [path for path in named if not list(ROOT.glob(path))]


def test_words_of_the_code_that_are_named_stand_where_it_says() -> None:
    for path, word in {
        "sm_entrypoints/rules/tensor/rules.py": "WATCHES",
        "sm_entrypoints/contract/names.py": "ONLINE_RULES",
        "platforms/local/client.py": "RESOURCES",
        "platforms/local/records.py": "Kind",
        "sm_entrypoints/models/packaged_weights.py": "pickle",
    }.items():
        assert re.search(rf"^(?:import )?{word}\b", (ROOT / path).read_text("utf-8"), re.M), path


def test_the_licence_is_apache_2_and_the_package_says_so() -> None:
    text = (ROOT / "LICENSE").read_bytes()
    # The text of apache.org, unchanged.
    assert (
        hashlib.sha256(text.strip()).hexdigest()
        == "283ea6cc2997a1a70da0049e09adf9317bb60ca1b51279b65196b83a69e1996b"
    )
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["license"] == "Apache-2.0"
    assert project["license-files"] == ["LICENSE"]
