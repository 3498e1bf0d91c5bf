"""Secrets that are planted in an environment, and where they came out again."""

from __future__ import annotations

import base64
import gzip
import urllib.parse
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

_MOST_BYTES = 256 << 20
# The names that people's secrets have; the values are ours, and nowhere else.
PLANTED: Mapping[str, str] = {
    "AWS_ACCESS_KEY_ID": "AKIACANARY0WHIPPET01",
    "AWS_SECRET_ACCESS_KEY": "canary/02+whippetSecretAccessKey0000000",
    "AWS_SESSION_TOKEN": "canary03whippetSessionToken",
    "GITHUB_TOKEN": "ghp_canary04whippet",
    "HF_TOKEN": "hf_canary05whippet",
    "WANDB_API_KEY": "canary06whippetwandb",
    "PREFECT_API_KEY": "pnu_canary07whippet",
    "DATABASE_URL": "postgresql://someone:canary08whippet@127.0.0.1:9/db",
    "FTP_PROXY": "http://someone:canary09whippet@127.0.0.1:9",
    "SM_HP_TOKEN": "canary10whippet",
    "TRAINING_JOB_NAME": "canary11whippet",
    "KAGGLE_KEY": "canary12whippet",
}


def secrets(planted: Mapping[str, str] = PLANTED) -> dict[str, str]:
    """Return the secret part of each value: of an address, its password."""
    return {name: urllib.parse.urlsplit(v).password or v for name, v in planted.items()}


def forms(secret: str) -> set[bytes]:
    """Return a secret as it may be written: plain, quoted for an address, hexadecimal, base64."""
    raw = secret.encode()
    # Base64 of a longer text: what stands for the inner bytes, at each of three places.
    inner = {
        base64.b64encode(b"\0" * shift + raw)[4:-4] if shift else base64.b64encode(raw)[:-4]
        for shift in (0, 1, 2)
    }
    return {raw, urllib.parse.quote(secret, safe="").encode(), raw.hex().encode(), *inner}


def found_in(content: bytes, planted: Mapping[str, str] = PLANTED) -> list[str]:
    """Return the names of the secrets that some bytes hold, also inside of gzip."""
    texts = [content, *_unpacked(content)]
    return sorted(
        name
        for name, secret in secrets(planted).items()
        if any(form in text for form in forms(secret) for text in texts)
    )


def leaks(root: Path, planted: Mapping[str, str] = PLANTED) -> dict[str, list[str]]:
    """Return the files and names below a folder that hold secrets, with the secrets' names."""
    places: dict[str, list[str]] = {}
    for path in root.rglob("*"):
        content = str(path.relative_to(root)).encode(errors="surrogateescape")
        if path.is_symlink():
            content += str(path.readlink()).encode(errors="surrogateescape")
        elif path.is_file():
            content += path.read_bytes()
        if found := found_in(content, planted):
            places[str(path)] = found
    return places


def _unpacked(content: bytes) -> Iterator[bytes]:
    start = content.find(b"\x1f\x8b\x08")
    if start in range(512):  # a file's name may stand in front
        unpacker = zlib.decompressobj(wbits=31)
        try:
            yield unpacker.decompress(content[start:], _MOST_BYTES)
        except (zlib.error, gzip.BadGzipFile):
            return
