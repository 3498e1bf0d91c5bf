"""Turn an object into the bodies of requests, and their answers into one output."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from platforms.errors import WhippetError
from platforms.local.transform.request import TransformPlan

# How much is packed into one body when no limit is asked for.
_CHUNK = 1024 * 1024


class _Readable(Protocol):
    def read(self, size: int = ..., /) -> bytes: ...

    def readline(self, size: int = ..., /) -> bytes: ...


class PayloadTooLarge(WhippetError):
    """Raised when an object or a line is longer than a request may be."""


class NotGzip(WhippetError):
    """Raised when an object of a gzipped input is not gzip, or is damaged."""


def payloads(path: Path, plan: TransformPlan) -> Iterator[bytes]:
    """Yield the bodies of an object's requests, in order; never more than one in memory.

    Raises:
        PayloadTooLarge: a record does not fit into ``MaxPayloadInMB``.
        NotGzip: the plan says gzip and the object is not.
    """
    try:
        with gzip.open(path, "rb") if plan.gzipped else path.open("rb") as file:
            yield from _lines(file, plan) if plan.lines else _whole(file, plan)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise NotGzip(f"CompressionType is Gzip, but this is not gzip: {error}") from error


def write_answers(answers: Iterable[bytes], plan: TransformPlan, target: Path) -> None:
    """Write the answers to an object's requests, joined as ``AssembleWith`` says."""
    with target.open("wb") as file:
        for answer in answers:
            file.write(answer)
            if plan.joined and not answer.endswith(b"\n"):
                file.write(b"\n")


def _whole(file: _Readable, plan: TransformPlan) -> Iterator[bytes]:
    limit = plan.payload_bytes
    body = file.read(-1 if limit is None else limit + 1)
    _require_fit(body, plan, "the object")
    yield body


def _lines(file: _Readable, plan: TransformPlan) -> Iterator[bytes]:
    """Yield lines, as many as fit into one body if the plan packs them; none that is blank."""
    limit = plan.payload_bytes or _CHUNK
    packed: list[bytes] = []
    size = number = 0
    # Two more bytes than may be: the line's end.
    while line := file.readline(-1 if plan.payload_bytes is None else limit + 2):
        number += 1
        record = line.rstrip(b"\r\n")
        _require_fit(record, plan, f"line {number}")
        if not record:
            continue
        if not plan.packed:
            yield record
            continue
        if packed and size + len(record) + 1 > limit:
            yield b"\n".join(packed)
            packed, size = [], 0
        packed.append(record)
        size += len(record) + 1
    if packed:
        yield b"\n".join(packed)


def _require_fit(body: bytes, plan: TransformPlan, what: str) -> None:
    limit = plan.payload_bytes
    if limit is not None and len(body) > limit:
        raise PayloadTooLarge(
            f"{what} is longer than MaxPayloadInMB={limit // 1024**2} allows; raise the limit, "
            "or split the object"
        )
