"""Which data set it is: its name in the bucket, and what distinguishes its pictures."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path

from sm_entrypoints.contract import SPLITS
from tasks.runs.names import slug

# A name in the bucket has 40 characters at most: these, a dash, and the folder's own.
_DIGITS = 6
_LONGEST = 40 - _DIGITS - 1
# Runs note it beside the fingerprint; what has none was computed over paths instead of keys.
SCHEME = 2


def name_of_folder(folder: Path) -> str:
    """Return the name of a folder's data set: its own, and six digits of where it lies.

    The same for the same folder, whatever link or relative path leads to it, so that a sync moves
    only what changed. Another for another folder of that name. A folder that was moved counts as
    another: a name that is said (``--data-name``) stays.
    """
    place = folder.resolve()
    return f"{_words(place.name)}-{_digits(os.fsencode(place))}"


def name_of_uri(uri: str) -> str:
    """Return the name of the data set below an S3 prefix, the same on every machine."""
    plain = uri.rstrip("/")
    return f"{_words(plain.rsplit('/', 1)[-1])}-{_digits(plain.encode())}"


def origin_of(folder: Path) -> str:
    """Return where a data set comes from, for people who find it in the bucket."""
    return f"{platform.node()}:{folder.resolve()}".encode(errors="backslashreplace").decode()


def fingerprint_of(contents: Mapping[str, str]) -> str:
    """Return what changes with every picture that a job would see: keys, and sha256 of contents."""
    digest = hashlib.sha256()
    for row in sorted(contents.items()):
        digest.update(json.dumps(row).encode() + b"\n")
    return digest.hexdigest()


def fingerprint_over_paths(rows: Iterable[tuple[str, str, str, str]]) -> str:
    """Return what earlier versions noted: over split, label, path and sha256 of every file."""
    digest = hashlib.sha256()
    for row in sorted(rows):
        digest.update(json.dumps(row).encode() + b"\n")
    return digest.hexdigest()


def fingerprint_of_channels(sizes: Mapping[str, int]) -> str:
    """Return what a job notes of its channels: over the keys and their sizes in bytes."""
    digest = hashlib.sha256()
    for key in sorted(sizes, key=_as_a_job_lists):
        digest.update(f"{key}\0{sizes[key]}\n".encode())
    return digest.hexdigest()


def _as_a_job_lists(key: str) -> tuple[int, str, str]:
    split, label, _ = key.split("/", 2)
    return SPLITS.index(split), label, key


def _words(name: str) -> str:
    # A name in another script has no letters that a key may have.
    return slug(name, _LONGEST) if any(c.isascii() and c.isalnum() for c in name) else "data"


def _digits(place: bytes) -> str:
    return hashlib.sha256(place).hexdigest()[:_DIGITS]
