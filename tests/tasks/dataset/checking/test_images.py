from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sm_entrypoints.images.look import Look, look_of
from tasks.dataset.checking.images import inspect_image
from tests.worlds.pictures import picture, png_header, write_picture


def test_good_image_gives_size_digest_and_look(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "é \"quoted'.JPEG", 1, (64, 48))
    facts = inspect_image(path)
    assert (facts.problem, facts.width, facts.height, facts.mode) == (None, 64, 48, "RGB")
    assert facts.size == path.stat().st_size
    assert len(facts.sha256) == 64
    assert facts.look is not None
    assert (len(facts.look.gradients), len(facts.look.colours)) == (64, 192)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("kept", [0.02, 0.3, 0.9])
def test_truncated_image_is_a_problem(tmp_path: Path, suffix: str, kept: float) -> None:
    path = write_picture(tmp_path / f"a.{suffix}", 1, (400, 300))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    problem = inspect_image(path).problem
    assert problem is not None
    assert "decoded" in problem or "not a JPEG" in problem


def test_damaged_png_chunk_is_a_problem(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "a.png", 1)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    assert "cannot be decoded" in str(inspect_image(path).problem)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"<html>not found</html>", "HTML"),
        (b"GIF89a" + bytes(30), "GIF"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"hello", "b'hello'"),
    ],
)
def test_what_is_not_an_image_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    assert words in str(inspect_image(path).problem)


def test_missing_file_is_a_problem(tmp_path: Path) -> None:
    assert "No such file" in str(inspect_image(tmp_path / "gone.jpg").problem)


def test_a_large_picture_is_looked_at_at_reduced_size(tmp_path: Path) -> None:
    path = tmp_path / "phone.jpg"
    Image.effect_noise((64, 48), 90).resize((8000, 6000)).save(path)
    facts = inspect_image(path)
    assert (facts.problem, facts.width, facts.height) == (None, 8000, 6000)
    small = tmp_path / "small.jpg"
    Image.open(path).reduce(4).save(small, quality=95)
    assert facts.look is not None
    assert distance(facts.look, inspect_image(small).look) < 20


def test_what_takes_too_much_memory_is_not_decoded(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    path.write_bytes(png_header(20_000, 10_000))
    problem = str(inspect_image(path).problem)
    assert problem.startswith("has 20000 x 10000 pixels, and decoding them as PNG takes 800 MB")
    assert "save it as a baseline JPEG" in problem
    path.write_bytes(png_header(30_000, 30_000))
    assert "has 30000 x 30000 pixels, more than 400 megapixels" in str(inspect_image(path).problem)


def distance(one: Look, other: Look | None) -> int:
    """Return how many bits of the gradients of two looks differ."""
    assert other is not None
    bits = [np.unpackbits(np.frombuffer(look.gradients, np.uint8)) for look in (one, other)]
    return int((bits[0] != bits[1]).sum())


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "I;16", "CMYK"])
def test_every_mode_has_a_look(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    image = picture(3, (200, 160))
    if mode == "I;16":
        grey = np.asarray(image.convert("L"), dtype=np.uint16) * 257
        Image.fromarray(grey).save(path)
    else:
        image.convert(mode).save(path)
    facts = inspect_image(path)
    assert facts.problem is None
    assert facts.mode == mode
    assert facts.look is not None
    assert any(facts.look.gradients)


def test_sixteen_bit_image_looks_like_its_eight_bit_copy(tmp_path: Path) -> None:
    grey = np.asarray(picture(4).convert("L"))
    Image.fromarray(grey).save(tmp_path / "8.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "16.png")
    assert inspect_image(tmp_path / "8.png").look == inspect_image(tmp_path / "16.png").look


def test_transparent_palette_image_lies_on_white(tmp_path: Path) -> None:
    layer = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    layer.paste((200, 0, 0, 255), (10, 10, 30, 30))
    path = tmp_path / "p.png"
    layer.quantize(16).save(path)
    look = inspect_image(path).look
    assert look is not None
    assert set(look.colours[:3]) == {255}


def test_blank_image_has_no_gradients() -> None:
    assert not any(look_of(Image.new("RGB", (50, 50), "white")).gradients)


def test_folder_in_place_of_a_file_is_a_problem(tmp_path: Path) -> None:
    assert "cannot be read" in str(inspect_image(tmp_path).problem)
