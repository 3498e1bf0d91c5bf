"""The README's pictures and drawing."""

from __future__ import annotations

import re

from PIL import Image

from tests.documents.reading import README
from tests.sources import ROOT


def test_its_two_pictures_are_there_small_and_described() -> None:
    shown = re.findall(r"!\[(.+?)\]\((docs/pictures/\w+\.png)\)", README)
    assert len(shown) == 2
    for words, path in shown:
        assert len(words.split()) > 3
        assert (ROOT / path).stat().st_size <= 200_000
        with Image.open(ROOT / path) as picture:
            assert picture.width == 1280
    assert {path for _, path in shown} == {
        str(path.relative_to(ROOT)) for path in (ROOT / "docs/pictures").iterdir()
    }


def test_its_drawing_names_packages_that_exist() -> None:
    (drawing,) = re.findall(r"```mermaid\n(.*?)```", README, re.S)
    for package in ("flows", "tasks", "platforms", "sm_entrypoints", "dashboards"):
        assert package in drawing
        assert (ROOT / package).is_dir()
