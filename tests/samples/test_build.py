"""The committed sample set keeps its promises, and the script's own rules hold."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from platforms.settings import PROJECT_ROOT
from samples.build import Drawing, distinct, on_white, split_by_series
from tasks.dataset.checking.check import DataCheck, check_data
from tests.worlds.pictures import picture

CLIPART = PROJECT_ROOT / "samples" / "clipart"


@pytest.fixture(scope="module")
def check() -> DataCheck:
    return check_data(CLIPART)


def test_committed_set_is_large_enough_and_small_enough(check: DataCheck) -> None:
    summary = check.document()
    assert len(check.classes) >= 8
    assert len(check.files) >= 400
    assert summary.bytes <= 6_000_000
    assert summary.sizes["width"].max <= 224
    smallest = {min(part.per_class.values()) for part in summary.splits.values()}
    assert min(smallest) >= 5


def test_committed_set_has_no_duplicates_and_no_oddities(check: DataCheck) -> None:
    # Warnings would be of leaks, labels, modes or stray files.
    assert check.warnings == ()
    assert check.split_source == "folders"
    assert {Path(file.path).suffix for file in check.files} == {".jpg"}


def test_readme_counts_are_right(check: DataCheck) -> None:
    readme = (PROJECT_ROOT / "samples" / "README.md").read_text()
    splits = check.document().splits.values()
    for label in check.classes:
        counts = " | ".join(str(part.per_class[label]) for part in splits)
        assert f"| {label} | {counts} |" in readme
    assert f"{len(check.files)} drawings of {len(check.classes)} classes" in readme


def drawing(name: str, seed: int) -> Drawing:
    return Drawing(label="a", name=name, image=picture(seed))


def test_series_lie_in_one_split() -> None:
    drawings = [drawing(f"artist{chr(97 + n % 20)}_{n}", n) for n in range(60)]
    splits = split_by_series(drawings)
    assert {name: len(part) for name, part in splits.items()} == {
        "train": 36,
        "valid": 12,
        "test": 12,
    }
    series = [{item.series for item in part} for part in splits.values()]
    assert not series[0] & series[1]
    assert not series[0] & series[2]
    assert not series[1] & series[2]


def test_look_alikes_are_dropped_but_the_first() -> None:
    kept = distinct([drawing("one", 1), drawing("two", 2), drawing("again", 1)])
    assert [item.name for item in kept] == ["one", "two"]


def test_drawing_fills_a_white_square(tmp_path: Path) -> None:
    layer = Image.new("RGBA", (400, 400), (0, 0, 0, 0))
    layer.paste((0, 0, 200, 128), (100, 150, 200, 180))
    layer.save(tmp_path / "a.png")
    image = on_white(tmp_path / "a.png")
    assert image is not None
    assert (image.mode, image.size) == ("RGB", (224, 224))
    assert image.getpixel((112, 112)) == (127, 127, 227)
    assert image.getpixel((5, 112)) == (127, 127, 227)
    assert image.getpixel((112, 60)) == (255, 255, 255)


@pytest.mark.parametrize("size", [(5, 300), (400, 400)])
def test_useless_drawings_are_left_out(tmp_path: Path, size: tuple[int, int]) -> None:
    colour = "white" if size == (400, 400) else "black"
    Image.new("RGB", size, colour).save(tmp_path / "a.png")
    assert on_white(tmp_path / "a.png") is None
