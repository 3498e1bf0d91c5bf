"""Build samples/clipart from the drawings of Debian's package openclipart-png.

Run it from the project's root, in the orchestrator's environment, on a Debian or Ubuntu machine
(``apt-get update`` once before), with a folder that does not exist yet::

    .venv/bin/python -m samples.build samples/clipart

or, with a package file that is here already, ``... --package openclipart-png_*.deb``. Nothing is
installed. The same package and the same Pillow give the same files: nothing here is random.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

from sm_entrypoints.contract import SPLITS, TEST_CHANNEL, TRAIN_CHANNEL, VALID_CHANNEL
from sm_entrypoints.images.look import look_of
from tasks.dataset.checking.duplicates import similar_groups

PACKAGE = "openclipart-png"
DRAWINGS = Path("usr/share/openclipart/png")
CLASSES = {
    "beverages": ("food/beverages",),
    "birds": ("animals/birds",),
    "bugs": ("animals/bugs",),
    "flags": tuple(f"signs_and_symbols/flags/{part}" for part in ("africa", "america", "asia")),
    "fruit": ("food/fruit",),
    "hardware": ("computer/hardware",),
    "houses": ("buildings/homes",),
    "mammals": ("animals/mammals",),
    "music": ("recreation/music",),
    "roadsigns": ("transportation/roadsigns",),
}
MOST_IMAGES = 70  # of a class
TEST_SHARE = 0.2  # and as much for valid
SIDE = 224  # pixels
QUALITY = 80
# The package holds a few drawings of 100 to 600 megapixels.
MAX_PIXELS = 20_000_000
PAPER = 250  # grey levels from here on are background
# The package rendered "Linked Image Not Found" instead of this duck.
PLACEHOLDERS = {"duck_yellow_ii_kurt_cagl-c8c293"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """One drawing of the package, ready to be saved; ``name`` is unique in the set."""

    label: str
    name: str
    image: Image.Image

    @property
    def series(self) -> str:
        """First word of its name: drawings of one artist's series share it."""
        word = re.search(r"[a-z]{3,}", self.name.lower())
        return word.group() if word else self.name


def build(package: Path, out: Path) -> None:
    """Write ``<out>/{train,valid,test}/<class>/*.jpg`` from a package file.

    Raises:
        FileExistsError: ``out`` exists.
        subprocess.CalledProcessError: the package cannot be unpacked.
    """
    out.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["dpkg-deb", "-x", str(package), folder], check=True)
        unlike = distinct([*read_drawings(Path(folder) / DRAWINGS)])
        drawings = [drawing for drawing in unlike if drawing.name not in PLACEHOLDERS]
    for label in CLASSES:
        for split, chosen in split_by_series([d for d in drawings if d.label == label]).items():
            target = out / split / label
            target.mkdir(parents=True)
            for drawing in chosen:
                drawing.image.save(target / f"{drawing.name}.jpg", quality=QUALITY, optimize=True)


def read_drawings(base: Path) -> Iterator[Drawing]:
    """Yield the usable drawings of all classes, classes and files in order."""
    for label, folders in CLASSES.items():
        for path in sorted(path for folder in folders for path in (base / folder).rglob("*.png")):
            image = on_white(path)
            if image is not None:
                stem = re.sub(r"[^a-z0-9]+", "_", path.stem.lower()).strip("_")
                unique = _digest(path.relative_to(base).as_posix())[:6]
                yield Drawing(label=label, name=f"{stem}-{unique}", image=image)


def on_white(path: Path) -> Image.Image | None:
    """Return what is drawn, centred on a white RGB square; None if it is too large or tiny.

    Square, because a model's preparation cuts the sides off an oblong image.
    """
    with Image.open(path) as opened:
        if opened.width * opened.height > MAX_PIXELS:
            return None
        layer = opened.convert("RGBA")
    rgb = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    box = rgb.convert("L").point(lambda level: 255 * (level < PAPER)).getbbox()
    if box is None or min(box[2] - box[0], box[3] - box[1]) < 16:
        return None
    rgb = rgb.crop(box)
    return ImageOps.pad(rgb, (SIDE, SIDE), Image.Resampling.LANCZOS, color="white")


def distinct(drawings: Sequence[Drawing]) -> list[Drawing]:
    """Return the drawings without those that look like an earlier one, of any class."""
    looks = [look_of(drawing.image) for drawing in drawings]
    dropped = {index for group in similar_groups(looks) for index in group[1:]}
    return [drawing for index, drawing in enumerate(drawings) if index not in dropped]


def split_by_series(drawings: Sequence[Drawing]) -> dict[str, list[Drawing]]:
    """Split one class 60/20/20 without tearing a series apart, in an order that hashes give."""
    series: dict[str, list[Drawing]] = {}
    for drawing in drawings:
        series.setdefault(drawing.series, []).append(drawing)
    share = round(TEST_SHARE * min(MOST_IMAGES, len(drawings)))
    splits: dict[str, list[Drawing]] = {split: [] for split in SPLITS}
    for key in sorted(series, key=_digest):
        fitting = (
            split
            for split in (TEST_CHANNEL, VALID_CHANNEL)
            if len(splits[split]) + len(series[key]) <= share
        )
        splits[next(fitting, TRAIN_CHANNEL)] += series[key]
    splits[TRAIN_CHANNEL] = splits[TRAIN_CHANNEL][: MOST_IMAGES - 2 * share]
    return splits


def download(folder: Path) -> Path:
    """Download the package into ``folder``, without installing it, and return its file."""
    subprocess.run(["apt-get", "download", "-q", PACKAGE], cwd=folder, check=True)
    return next(folder.glob(f"{PACKAGE}_*.deb"))


def main() -> int:
    """Build the set and print how many images it has."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path, help="folder to make; must not exist")
    parser.add_argument("--package", type=Path, help="package file; default: download it")
    options = parser.parse_args()
    Image.MAX_IMAGE_PIXELS = None  # on_white() skips what is too large before it decodes.
    with tempfile.TemporaryDirectory() as folder:
        build(options.package or download(Path(folder)), options.out)
    for split in SPLITS:
        files = list((options.out / split).glob("*/*.jpg"))
        size = sum(file.stat().st_size for file in files)
        print(f"{split}: {len(files)} images, {size / 1e6:.2f} MB")
    return 0


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
