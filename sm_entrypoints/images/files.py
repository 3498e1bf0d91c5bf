"""Which files are pictures, and which belong to a system: one answer for both sides.

The orchestrator asks before it uploads a folder, and the job when it lists its channels, so both
count the same files. Standard library only, because the orchestrator has no torch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

# What is read as it is, told by the first bytes and not by the name.
READ_KINDS = ("JPEG", "PNG")
READ_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".pjpeg", ".pjp", ".mpo", ".png", ".apng"}
)
# What cameras store before it is a picture; many are TIFFs with a thumbnail in front.
RAW_SUFFIXES = frozenset(
    {".cr2", ".cr3", ".nef", ".nrw", ".arw", ".dng", ".orf", ".raf", ".rw2", ".pef", ".srw"}
)
# Other pictures by their names.
OTHER_SUFFIXES = frozenset(
    {
        *(".avif", ".avifs", ".bmp", ".dib", ".gif", ".heic", ".heif", ".hif", ".ico", ".j2k"),
        *(".jp2", ".jpx", ".jxl", ".pbm", ".pgm", ".pnm", ".ppm", ".psd", ".svg", ".tga"),
        *(".tif", ".tiff", ".webp", *RAW_SUFFIXES),
    }
)
# Pictures that a job decodes when they lie in a channel that somebody else filled.
CHANNEL_SUFFIXES = READ_SUFFIXES | {".bmp", ".dib", ".gif", ".tif", ".tiff", ".webp"}
CHANNEL_KINDS = (*READ_KINDS, "BMP", "GIF", "TIFF", "WebP")
# Names that stand for something else, so that thousands of label files need not be opened. What
# is still being written or downloaded is no picture yet.
_NO_PICTURES = frozenset(
    {
        *(".txt", ".csv", ".tsv", ".xml", ".json", ".jsonl", ".yaml", ".yml", ".md", ".rst"),
        *(".html", ".htm", ".css", ".js", ".py", ".pyc", ".ipynb", ".sh", ".bat", ".log", ".ini"),
        *(".cfg", ".toml", ".db", ".sqlite", ".lock", ".sum", ".md5", ".sha256", ".pdf", ".doc"),
        *(".docx", ".xls", ".xlsx", ".ppt", ".pptx", ".zip", ".gz", ".tgz", ".tar", ".7z", ".rar"),
        *(".xz", ".bz2", ".npy", ".npz", ".h5", ".hdf5", ".mat", ".pkl", ".pt", ".pth", ".onnx"),
        *(".parquet", ".tfrecord", ".tfrecords", ".mp4", ".mov", ".avi", ".mkv", ".webm", ".mp3"),
        *(".wav", ".xmp", ".aae", ".thm", ".part", ".partial", ".crdownload", ".download", ".tmp"),
    }
)
# What systems, NAS boxes, cloud drives and tools leave in people's folders, case not counted.
# Names with a dot before them are a system's own anyway.
SYSTEM_NAMES = frozenset(
    {
        *("__macosx", "icon\r", "network trash folder", "temporary items"),
        *("thevolumesettingsfolder", "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db"),
        *("desktop.ini", "$recycle.bin", "system volume information", "config.msi", "msocache"),
        *("lost+found", "lost.dir", "@eadir", "@tmp", "@synoresource", "@sharebin", "#recycle"),
        *("#snapshot", "@recycle", "@recently-snapshot", "~snapshot", "picasa.ini"),
        *("zbthumbnail.info", "pspbrwse.jbf", "albumartsmall.jpg", "__pycache__", "node_modules"),
        *("_vti_cnf", "_vti_pvt", "$av_avg", "$av_asw"),
    }
)
_SYSTEM_PATTERN = re.compile(r"found\.\d{3}|thumbs\.db:.*|~\$.*|synofile_thumb.*|albumart_\{.*")

_HEAD = 64
_STARTS = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
    (b"8BPS", "Photoshop"),
)
_HEIF_BRANDS = frozenset(
    {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1", b"MiHE"}
)


def is_system_name(name: str) -> bool:
    """Tell whether a file or folder belongs to a system or a tool, and is not a picture or class.

    ``.DS_Store``, ``._a.jpg``, ``.Trash-1000``, ``@eaDir``, ``lost+found``, ``Thumbs.db``.
    """
    plain = name.casefold()
    if name.startswith(".") or plain in SYSTEM_NAMES:
        return True
    return _SYSTEM_PATTERN.fullmatch(plain) is not None


def kind_of(start: bytes) -> str | None:
    """Return the kind of picture that begins with these bytes (64 are enough), None for others."""
    for magic, kind in _STARTS:
        if start.startswith(magic):
            return kind
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WebP"
    # "BM" begins many texts: the reserved members of its header are zero.
    if start[:2] == b"BM" and start[6:10] == bytes(4) and len(start) >= 26:
        return "BMP"
    if start[4:8] == b"ftyp":
        brands = {start[at : at + 4] for at in range(8, min(len(start), 40), 4)}
        if brands & {b"avif", b"avis"}:
            return "AVIF"
        if brands & _HEIF_BRANDS:
            return "HEIC"
    return None


def kind_of_file(path: Path) -> str | None:
    """Return the kind of picture that a regular file holds, by its first bytes.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb", buffering=0) as file:
        return kind_of(file.read(_HEAD) or b"")


def pillow_formats(kinds: Iterable[str]) -> tuple[str, ...]:
    """Return Pillow's names of kinds of pictures: ``WEBP`` for ``WebP``."""
    return tuple(kind.upper().replace(" ", "") for kind in kinds)


def may_be_picture(name: str) -> bool:
    """Tell whether it is worth to look into a file of this name that has no picture's suffix."""
    return _suffix(name) not in _NO_PICTURES


def is_channel_picture(path: Path) -> bool:
    """Tell whether a file of a channel counts as a picture: by its name, else by its first bytes.

    Raises:
        OSError: it cannot be read.
    """
    suffix = _suffix(path.name)
    if suffix in CHANNEL_SUFFIXES:
        return True
    if suffix not in RAW_SUFFIXES and may_be_picture(path.name):
        return path.is_file() and kind_of_file(path) in CHANNEL_KINDS
    return False


def _suffix(name: str) -> str:
    return Path(name).suffix.lower()
