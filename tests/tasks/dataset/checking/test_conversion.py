"""Other kinds of pictures become PNG or JPEG that look the same, the same bytes each time."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from obstore.store import LocalStore
from PIL import Image, TiffImagePlugin, features

from platforms.errors import DataError
from sm_entrypoints.images.channels import read_splits
from tasks.dataset.checking.check import check_data
from tasks.dataset.checking.conversion import ConversionError, Converter, converted
from tasks.dataset.folders.reading import Reading
from tasks.dataset.syncing.sync import sync_data
from tests.worlds.pictures import picture, write_data, write_picture


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    made = io.BytesIO()
    image.save(made, kind, **options)
    return made.getvalue()


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def pixels(image: Image.Image, mode: str = "RGB") -> np.ndarray:
    return np.asarray(image.convert(mode))


PICTURE = picture(3)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("BMP", saved(PICTURE, "BMP")),
        ("TIFF", saved(PICTURE, "TIFF")),
        ("TIFF", saved(PICTURE, "TIFF", compression="tiff_lzw")),
        ("WebP", saved(PICTURE, "WEBP", lossless=True)),
        ("GIF", saved(PICTURE.quantize(64), "GIF")),
    ],
)
def test_what_is_lossless_stays_as_it_is(kind: str, data: bytes) -> None:
    content, suffix = converted(data, kind)
    assert suffix == ".png"
    assert (pixels(opened(content)) == pixels(opened(data))).all()
    assert converted(data, kind) == (content, suffix)


@pytest.mark.parametrize("kind", ["WebP", "AVIF"])
def test_what_is_lossy_becomes_a_good_jpeg(kind: str) -> None:
    if not features.check(kind.lower()):
        pytest.skip(f"this Pillow has no {kind}")
    data = saved(PICTURE, kind.upper(), quality=80)
    content, suffix = converted(data, kind)
    assert suffix == ".jpg"
    difference = np.abs(pixels(opened(content)).astype(int) - pixels(opened(data)).astype(int))
    assert difference.mean() < 2


def test_transparency_and_a_lossy_picture_with_it_stay() -> None:
    layer = Image.new("RGBA", (40, 30), (0, 0, 0, 0))
    layer.paste((200, 10, 10, 255), (5, 5, 25, 25))
    for kind, data in (
        ("WebP", saved(layer, "WEBP", quality=90)),
        ("TIFF", saved(layer, "TIFF")),
        ("GIF", saved(layer, "GIF")),
    ):
        content, suffix = converted(data, kind)
        assert suffix == ".png"
        alpha = pixels(opened(content), "RGBA")[..., 3]
        assert (alpha[0, 0], alpha[15, 15]) == (0, 255), kind


def test_sixteen_bits_stay_sixteen_bits() -> None:
    grey = (np.asarray(picture(4).convert("L")).astype(np.uint16) * 257) ^ 1
    for order in ("I;16", "I;16B"):
        image = (
            Image.fromarray(grey)
            if order == "I;16"
            else Image.frombytes("I;16B", (64, 48), grey.astype(">u2").tobytes())
        )
        content, suffix = converted(saved(image, "TIFF"), "TIFF")
        assert suffix == ".png"
        assert (np.asarray(opened(content)) == grey).all()


def test_what_white_is_must_be_known() -> None:
    values = np.linspace(0, 1, 48, dtype=np.float32).reshape(6, 8)
    with pytest.raises(ConversionError, match="floating-point"):
        converted(saved(Image.fromarray(values), "TIFF"), "TIFF")
    large = np.full((6, 8), 70_000, dtype=np.int32)
    with pytest.raises(ConversionError, match="more than 16 bits"):
        converted(saved(Image.fromarray(large), "TIFF"), "TIFF")


@pytest.mark.parametrize("mode", ["CMYK", "LAB", "YCbCr", "1", "L", "P", "LA"])
def test_every_mode_of_a_tiff_looks_the_same(mode: str) -> None:
    if mode == "LAB":
        image = Image.new("LAB", (8, 6), (255, 128, 128))
        data, expected = saved(image, "TIFF"), np.full((6, 8, 3), 255)
    else:
        data = saved(PICTURE.convert(mode), "TIFF")
        expected = pixels(opened(data))
    content, _ = converted(data, "TIFF")
    assert np.abs(pixels(opened(content)).astype(int) - expected.astype(int)).max() <= 2


@pytest.mark.parametrize("kind", ["WebP", "TIFF"])
def test_pictures_stand_upright(kind: str) -> None:
    image = Image.new("RGB", (40, 20), "white")
    image.paste((255, 0, 0), (0, 0, 20, 20))  # red on the left
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise: red on top
    options: dict[str, object] = {"exif": exif}
    if kind == "TIFF":
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        tags[0x0112] = 6
        options = {"tiffinfo": tags}
    else:
        options["lossless"] = True
    content, _ = converted(saved(image, kind.upper(), **options), kind)
    made = opened(content)
    assert made.size == (20, 40)
    assert made.getpixel((10, 5)) == (255, 0, 0)
    assert made.getpixel((10, 35)) == (255, 255, 255)
    assert made.getexif().get(0x0112, 1) == 1


def test_the_first_of_several_is_taken() -> None:
    frames = [Image.new("P", (8, 6), 0), Image.new("P", (8, 6), 1)]
    for frame in frames:
        frame.putpalette([0, 128, 0, 128, 0, 0])
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert opened(converted(data, "GIF")[0]).convert("RGB").getpixel((0, 0)) == (0, 128, 0)
    data = saved(picture(1), "TIFF", save_all=True, append_images=[picture(2)])
    assert (pixels(opened(converted(data, "TIFF")[0])) == pixels(picture(1))).all()


def make_webp(path: Path) -> None:
    picture(7).save(path, "WEBP", lossless=True)


def make_tiff(path: Path) -> None:
    picture(8).save(path, "TIFF")


def test_a_folder_of_other_kinds_is_read_on_request(tmp_path: Path) -> None:
    root = write_data(tmp_path / "data", {"": {"cat": 3, "dog": 0}})
    (root / "dog").mkdir()
    for number in range(3):
        picture(50 + number).save(root / "dog" / f"{number}.webp", lossless=True)
    make_webp(root / "cat" / "named wrongly.jpg")
    make_tiff(root / "cat" / "scan.TIF")
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    with pytest.raises(DataError) as refused:
        check_data(root)
    said = str(refused.value)
    assert "'cat/named wrongly.jpg' is not a JPEG or PNG image but WebP" in said
    assert (
        "'dog' has no JPEG or PNG image (only 3 WebP); for WebP: run again with --convert" in said
    )

    reading = Reading(convert_to=tmp_path / "cache")
    check = check_data(root, reading)
    assert check_data(root, reading) == check
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before
    keys = {file.name: file.key.rpartition("/")[2] for file in check.files}
    assert keys["0.webp"] == "0.webp.png"
    assert keys["scan.TIF"] == "scan.TIF.png"
    assert keys["000.jpg"] == "000.jpg"

    store = LocalStore(prefix=tmp_path / "bucket", mkdir=True)
    assert sync_data(check, store, "p").uploaded == 8
    assert sync_data(check_data(root, reading), store, "p").uploaded == 0
    job = read_splits({each: tmp_path / "bucket/p" / each for each in ("train", "valid", "test")})
    assert job.classes == ("cat", "dog")
    assert sum(len(each) for each in (job.train, job.valid, job.test) if each) == 8


def test_a_killed_conversion_is_made_again(tmp_path: Path) -> None:
    data = saved(PICTURE, "BMP")
    converter = Converter(tmp_path)
    made = converter.convert(data, "BMP", "ab" * 32)
    whole = made.read_bytes()
    made.unlink()
    (made.parent / f".{made.name}.cut").write_bytes(whole[:10])
    assert converter.convert(data, "BMP", "ab" * 32) == made
    assert made.read_bytes() == whole


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda path: path.write_bytes(b"\0\0\0\x18ftypheic" + bytes(20)), "sips -s format jpeg"),
        (lambda path: path.write_bytes(b"II*\0" + bytes(40)), "cannot be decoded|not a JPEG"),
        (lambda path: path.write_bytes(b"RIFF\x10\0\0\0WEBPVP8 "), "cannot be decoded|not a JPEG"),
    ],
)
def test_what_cannot_be_converted_is_named(
    tmp_path: Path, write: Callable[[Path], object], said: str
) -> None:
    root = write_data(tmp_path / "data", {"": {"cat": 3, "dog": 3}})
    write(root / "cat" / "x.jpg")
    with pytest.raises(DataError, match=rf"'cat/x.jpg' .*({said})"):
        check_data(root, Reading(convert_to=tmp_path / "cache"))


def test_camera_raws_are_not_taken_for_their_thumbnails(tmp_path: Path) -> None:
    root = write_data(tmp_path / "data", {"": {"cat": 3, "dog": 3}})
    make_tiff(root / "cat" / "x.NEF")
    check = check_data(root, Reading(convert_to=tmp_path / "cache"))
    (skipped,) = [each for each in check.warnings if each.code == "skipped_format"]
    assert "1 camera raw" in skipped.message
    assert "darktable" in skipped.message
    write_picture(root / "cat" / "more.jpg", 99)
    assert len(check_data(root).files) == 7
