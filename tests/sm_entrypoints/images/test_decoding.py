"""Pictures of any size and with anything beside their pixels."""

from __future__ import annotations

import io
import random
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin

from sm_entrypoints.images.colours import to_rgb
from sm_entrypoints.images.decoding import Picture, TooManyPixels, load_picture

# Pillow tells of damaged EXIF data on stderr.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

PROJECT = Path(__file__).resolve().parents[3]
FORMATS = ("JPEG", "PNG")
# What a process that decodes one picture has at most, above what it had before.
RSS = """
import resource, sys
from pathlib import Path
from sm_entrypoints.images.decoding import load_picture
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
picture = load_picture(Path(sys.argv[1]), formats=("JPEG", "PNG")).upright()
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((after - before) // 1024, *picture.size)
"""


def _encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _load(data: bytes) -> Picture:
    return load_picture(data, formats=FORMATS)


def _scene(size: tuple[int, int], mode: str = "RGB") -> Image.Image:
    """Return a picture whose colours change slowly over it."""
    pixels = np.random.default_rng(0).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC).convert(mode)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("RGB", "JPEG"), ("L", "JPEG"), ("CMYK", "JPEG"), ("RGB", "PNG"), ("P", "PNG"), ("L", "PNG")],
)
def test_up_to_25_megapixels_nothing_changes(mode: str, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    data = _encoded(_scene((301, 203), mode), kind, exif=exif)
    with Image.open(io.BytesIO(data)) as image:
        plain = ImageOps.exif_transpose(image).convert("RGB")
    upright = _load(data).upright()
    assert upright.size == (203, 301)
    assert np.array_equal(np.asarray(upright), np.asarray(plain))


def _measured(path: Path) -> tuple[int, tuple[int, int]]:
    done = subprocess.run(
        [sys.executable, "-c", RSS, str(path)], cwd=PROJECT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    megabytes, width, height = map(int, done.stdout.split())
    return megabytes, (width, height)


@pytest.mark.slow
def test_a_phones_picture_takes_no_more_memory_than_a_small_one(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "48 megapixels.jpg"
    _scene((8000, 6000)).save(path, exif=exif)
    megabytes, size = _measured(path)
    assert size == (3000, 4000)
    assert megabytes < 150
    path = tmp_path / "200 megapixels.jpg"
    _scene((16320, 12240), "L").save(path)
    megabytes, size = _measured(path)
    assert size == (4080, 3060)
    assert megabytes < 150


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "I;16"])
def test_other_large_pictures_are_averaged(mode: str) -> None:
    size = (6001, 4500)
    if mode == "I;16":
        image = Image.fromarray(np.full(size[::-1], 30_000, dtype=np.uint16))
    else:
        image = _scene(size, mode)
    picture = _load(_encoded(image, "PNG", compress_level=1))
    assert (picture.width, picture.height, picture.mode) == (*size, mode)
    upright = picture.upright()
    assert (upright.mode, upright.size) == ("RGB", (3001, 2250))
    # The mean of a part: palettes are dithered.
    part = np.asarray(upright.crop((1500, 1000, 1520, 1020))).mean((0, 1))
    if mode == "I;16":
        assert np.allclose(part, 116, atol=1)
    else:
        whole = np.asarray(image.convert("RGB").crop((3000, 2000, 3040, 2040)))
        assert np.allclose(part, whole.mean((0, 1)), atol=1)


@pytest.mark.slow
def test_a_large_jpeg_shows_what_is_in_it() -> None:
    image = _scene((6001, 4500))
    upright = _load(_encoded(image, "JPEG")).upright()
    assert upright.size == (3001, 2250)
    assert np.allclose(np.asarray(upright), np.asarray(image.reduce(2)), atol=12)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _png(*chunks: bytes) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join([*chunks, _chunk(b"IEND", b"")])


def _header(width: int, height: int, colour: int = 2) -> bytes:
    return _png(
        _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)),
        _chunk(b"IDAT", b""),
    )


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (_header(30_000, 30_000), "has 30000 x 30000 pixels, more than 400 megapixels: shrink"),
        (_header(16_320, 12_240), "as PNG takes 799 MB.*baseline JPEG"),
    ],
)
def test_what_does_not_fit_is_refused_from_its_header(data: bytes, said: str) -> None:
    with pytest.raises(TooManyPixels, match=said):
        _load(data)


def test_a_progressive_jpeg_is_counted_with_its_coefficients() -> None:
    data = _encoded(Image.new("L", (64, 64)), "JPEG", progressive=True)
    frame = data.index(b"\xff\xc2") + 5
    large = data[:frame] + struct.pack(">HH", 19_000, 19_000) + data[frame + 4 :]
    with pytest.raises(TooManyPixels, match=r"a progressive JPEG takes 7\d\d MB"):
        _load(large)


def _parts(data: bytes) -> list[bytes]:
    found, at = [], 8
    while at < len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        found.append(data[at:end])
        at = end
    return found


LONG = zlib.compress(bytes(3_000_000))
DAMAGED = _chunk(b"tEXt", b"Comment\0abc")[:-1] + b"?"


@pytest.mark.parametrize(
    "beside",
    [
        _chunk(b"zTXt", b"Comment\0\0" + LONG),
        _chunk(b"iTXt", b"Comment\0\1\0\0\0" + LONG),
        _chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + LONG),
        _chunk(b"tEXt", b"\0"),
        _chunk(b"zTXt", b"Comment\0\7" + LONG),
        _chunk(b"iTXt", b"Comment"),
        DAMAGED,
        DAMAGED.replace(b"tEXt", b"tIME"),
        _chunk(b"iCCP", b"profile\0\0" + LONG),
        _chunk(b"pHYs", b"\0"),
        _chunk(b"gAMA", b""),
        _chunk(b"acTL", b"\0"),
        pytest.param(
            b"".join(
                _chunk(b"zTXt", b"A%d\0\0" % n + zlib.compress(bytes(900_000))) for n in range(80)
            ),
            marks=pytest.mark.slow,
        ),
    ],
    ids=range(13),
)
def test_what_stands_beside_the_pixels_of_a_png_does_not_matter(beside: bytes) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    image = _scene((40, 30), "P")
    head, *middle, end = _parts(_encoded(image, "PNG", exif=exif))
    upright = image.convert("RGB").transpose(Image.Transpose.ROTATE_180)
    for data in (
        _png(head, beside, *middle),
        _png(head, *middle, beside),
        _png(head, *middle) + beside,
        b"\x89PNG\r\n\x1a\n" + b"".join([head, *middle, beside[:-20]]),
    ):
        assert np.array_equal(np.asarray(_load(data).upright()), np.asarray(upright)), end


def test_pixels_of_a_png_that_are_damaged_are_still_refused() -> None:
    head, *middle, _ = _parts(_encoded(Image.effect_noise((64, 64), 90), "PNG"))
    text = _chunk(b"zTXt", b"Comment\0\0" + LONG)
    pixels = middle[0]
    for broken in (pixels[:-900], pixels[:100] + b"\0" * 9 + pixels[109:]):
        with pytest.raises((OSError, SyntaxError, ValueError)):
            _load(b"\x89PNG\r\n\x1a\n" + head + text + broken)


def test_orientation_from_text_still_counts() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="6"/>')
    assert _load(_encoded(_scene((40, 30)), "PNG", pnginfo=text)).upright().size == (30, 40)


@pytest.mark.parametrize("exif", [b"Exif\0\0nonsense", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"Exif"])
def test_damaged_exif_counts_as_none(exif: bytes) -> None:
    assert _load(_encoded(_scene((40, 30)), "JPEG", exif=exif)).upright().size == (40, 30)


def test_no_damage_whatever_raises_anything_else() -> None:
    chance = random.Random(0)
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind in FORMATS:
        whole = bytearray(_encoded(_scene((40, 30)), kind, exif=exif))
        for _ in range(300):
            broken = bytearray(whole)
            for _ in range(chance.randint(1, 6)):
                broken[chance.randrange(len(broken))] = chance.randrange(256)
            try:
                _load(bytes(broken)).upright()
            except (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError):
                continue
            except (OverflowError, struct.error, zlib.error, TooManyPixels):
                continue


@pytest.mark.parametrize(
    ("size", "least", "decoded"),
    [
        ((400, 300), 151, (400, 300)),
        ((400, 300), 150, (200, 150)),
        ((300, 400), 75, (75, 100)),
        ((300, 400), 38, (75, 100)),
        ((400, 300), 37, (50, 38)),
        ((400, 300), 1, (50, 38)),
        ((401, 303), 150, (201, 152)),
        ((2000, 9), 1, (250, 2)),
        ((5, 3000), 2, (3, 1500)),
    ],
)
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_is_scaled_down_to_what_is_enough_and_never_below(
    size: tuple[int, int], least: int, decoded: tuple[int, int], progressive: bool
) -> None:
    data = _encoded(_scene(size), "JPEG", quality=95, progressive=progressive)
    picture = load_picture(data, formats=FORMATS, least_side=least)
    assert picture.image.size == decoded
    assert (picture.width, picture.height) == size


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_scaled_jpeg_looks_the_same_and_is_upright(mode: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = _encoded(_scene((800, 480), mode), "JPEG", quality=95, exif=exif)
    whole = _load(data).upright().resize((60, 100), Image.Resampling.BILINEAR)
    scaled = load_picture(data, formats=FORMATS, least_side=120).upright()
    assert scaled.size == (120, 200)
    small = scaled.resize((60, 100), Image.Resampling.BILINEAR)
    apart = np.asarray(small, dtype=int) - np.asarray(whole, dtype=int)
    assert abs(apart).max() <= 6


def test_only_jpeg_is_scaled_by_its_decoder() -> None:
    data = _encoded(_scene((400, 300)), "PNG")
    assert load_picture(data, formats=FORMATS, least_side=10).image.size == (400, 300)


@pytest.mark.slow
def test_a_very_large_jpeg_is_scaled_as_far_as_is_enough() -> None:
    data = _encoded(_scene((8000, 6000), "L"), "JPEG", quality=50)
    assert _load(data).image.size == (4000, 3000)
    assert load_picture(data, formats=FORMATS, least_side=512).image.size == (1000, 750)


def _of_many_scans(size: tuple[int, int], scans: int, *, thumbnail: bytes = b"") -> bytes:
    """Return a progressive JPEG whose last pass is there again and again, in 12 bytes each."""
    data = _encoded(Image.new("L", size, 120), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    head = data[:2]
    if thumbnail:
        head += b"\xff\xee" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    return head + data[2:last] + data[last:-2] * scans + b"\xff\xd9"


def test_a_jpeg_of_thousands_of_scans_is_refused_before_it_is_decoded() -> None:
    data = _of_many_scans((4000, 4000), 16_000)
    assert len(data) < 800_000
    began = time.process_time()
    with pytest.raises(TooManyPixels, match="4000 x 4000 pixels in more than 93 scans, which"):
        _load(data)
    assert time.process_time() - began < 0.1


def test_a_small_jpeg_may_have_as_many_scans_as_an_encoder_writes() -> None:
    assert _load(_of_many_scans((64, 64), 90)).image.size == (64, 64)
    with pytest.raises(TooManyPixels, match="in more than 100 scans"):
        _load(_of_many_scans((64, 64), 101))


def test_scans_of_thumbnails_do_not_count() -> None:
    thumbnail = _of_many_scans((8, 8), 200)
    assert _load(_of_many_scans((64, 64), 1, thumbnail=thumbnail)).image.size == (64, 64)


def test_files_are_refused_like_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(_of_many_scans((64, 64), 500))
    with pytest.raises(TooManyPixels, match="in more than 100 scans"):
        load_picture(path, formats=FORMATS)


def test_a_baseline_jpeg_of_several_scans_needs_the_memory_of_a_progressive_one() -> None:
    # One scan for each colour: the decoder keeps all coefficients, whatever it is scaled to.
    data = bytearray(_encoded(Image.new("RGB", (64, 64)), "JPEG", subsampling=0))
    size, start = data.index(b"\xff\xc0") + 5, data.index(b"\xff\xda")
    data[size : size + 4] = struct.pack(">HH", 12_000, 12_000)
    one_of_three = b"\xff\xda\x00\x08\x01%c\x00\x00\x3f\x00\x00"
    separate = bytes(data[:start]) + b"".join(one_of_three % each for each in (1, 2, 3))
    with pytest.raises(TooManyPixels, match=r"as a JPEG of several scans takes \d+ MB, more than"):
        _load(separate + b"\xff\xd9")


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_header_of_a_million_parts_is_refused_at_once(kind: str) -> None:
    data = _encoded(Image.new("RGB", (64, 64)), kind)
    if kind == "JPEG":
        data = data[:2] + b"\xff\xe2\x00\x02" * 1_000_000 + data[2:]
    else:
        empty = b"\x00\x00\x00\x00prVt" + struct.pack(">I", zlib.crc32(b"prVt"))
        data = data[:33] + empty * 300_000 + data[33:]
    began = time.process_time()
    with pytest.raises(TooManyPixels, match=r"has more than 5,000 (segments|chunks)"):
        _load(data)
    assert time.process_time() - began < 0.2


@pytest.mark.slow
@pytest.mark.parametrize("size", [(5000, 5000), (25_000_000, 1)])
def test_a_transparent_picture_is_converted_within_twice_its_memory(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    path = tmp_path / "a.png"
    Image.new("RGBA", size, (10, 20, 30, 128)).save(path, compress_level=1)
    megabytes, found = _measured(path)
    assert found == size
    assert megabytes < 230


@pytest.mark.parametrize("mode", ["RGBA", "LA", "I;16", "P", "CMYK"])
def test_parts_are_converted_like_the_whole(mode: str) -> None:
    image = Image.fromarray(
        np.random.default_rng(0).integers(0, 65_535, (1500, 2001), dtype=np.uint16)
    )
    if mode != "I;16":
        image = _scene((2001, 1500)).convert(mode)
    if mode in ("RGBA", "LA"):
        image.putalpha(_scene((2001, 1500), "L"))
    parts = to_rgb(image)
    small = [to_rgb(image.crop((0, top, 2001, top + 500))) for top in (0, 500, 1000)]
    assert np.array_equal(np.asarray(parts), np.concatenate([np.asarray(each) for each in small]))


@pytest.mark.parametrize("junk", [b"\x00", b"\xff", b"\xff\x00", b"\xff\xff\x00"])
@pytest.mark.parametrize("pixels", [True, False])
def test_what_pillow_would_read_byte_by_byte_is_refused(junk: bytes, pixels: bool) -> None:
    """Six megabytes of it took seconds there, and hours to be refused here."""
    junk *= 6_000_000 // len(junk)
    jpeg = _encoded(_scene((80, 60)), "JPEG")
    with pytest.raises(TooManyPixels, match="bytes that mean nothing before its pixels"):
        _load(jpeg[:3] + junk + (jpeg[2:] if pixels else b""))


def test_some_bytes_between_segments_are_passed_over() -> None:
    jpeg = _encoded(_scene((80, 60)), "JPEG")
    assert _load(jpeg[:2] + b"\xff" * 500 + jpeg[2:]).width == 80
