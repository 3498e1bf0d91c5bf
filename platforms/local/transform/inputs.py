"""Which objects a transform job reads, and the name of each output."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from platforms.local.buckets.buckets import BadUri, BucketError, Buckets, split_uri
from platforms.local.transform.request import TransformPlan

_MAX_MANIFEST_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class InputObject:
    """One object to transform.

    Attributes:
        uri: where it is.
        name: its key below the input's prefix; with ``.out`` below the output's path, its answer's.
    """

    uri: str
    name: str


def input_objects(plan: TransformPlan, buckets: Buckets) -> Iterator[InputObject]:
    """Yield the objects of a transform job's input in the order of their keys.

    Raises:
        BadUri: a manifest is not ``[{"prefix": "s3://..."}, "name", ...]``.
        BucketError: the manifest or the bucket cannot be read.
    """
    if plan.manifest:
        yield from _listed_in(plan.source, buckets)
    else:
        yield from _below(plan.source, buckets)


def _below(uri: str, buckets: Buckets) -> Iterator[InputObject]:
    """Yield all objects whose key begins with the URI's, as S3 means a prefix."""
    bucket, key = split_uri(uri)
    prefix = uri.removeprefix(f"s3://{bucket}").removeprefix("/")
    folder = prefix.rpartition("/")[0]
    keys = sorted(
        entry["path"]
        for batch in buckets(bucket).list(prefix=folder or None)
        for entry in batch
        if entry["path"].startswith(prefix) and not entry["path"].endswith("/")
    )
    for path in keys:
        # "photos" stands for the folder of that name, as with or without its slash.
        within = path.startswith(f"{key}/") if key else False
        base = f"{key}/" if within else f"{folder}/" if folder else ""
        yield InputObject(uri=f"s3://{bucket}/{path}", name=path.removeprefix(base))


def _listed_in(uri: str, buckets: Buckets) -> Iterator[InputObject]:
    entries = _manifest(uri, buckets)
    prefix = entries[0]["prefix"]
    for name in entries[1:]:
        whole = f"{prefix}{name}"
        split_uri(whole)
        yield InputObject(uri=whole, name=name)


def _manifest(uri: str, buckets: Buckets) -> list[Any]:
    with TemporaryDirectory() as scratch, buckets.reading(uri, Path(scratch)) as file:
        if file.stat().st_size > _MAX_MANIFEST_BYTES:
            raise BucketError(f"the manifest {uri} is larger than {_MAX_MANIFEST_BYTES} bytes")
        text = file.read_bytes()
    try:
        entries = json.loads(text)
        fits = isinstance(entries[0]["prefix"], str) and all(
            isinstance(each, str) for each in entries[1:]
        )
    except (ValueError, LookupError, TypeError, RecursionError):
        fits = False
    if not fits:
        raise BadUri(f'the manifest {uri} is not JSON of the form [{{"prefix": "s3://…"}}, "name"]')
    return list(entries)
