"""Find what to fetch: a data set or a training job by its name, or an S3 prefix."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import obstore
from botocore.exceptions import ClientError
from obstore.exceptions import BaseError

from platforms import Platform
from platforms.errors import DataError
from sm_entrypoints.contract.sentences import clause, did_you_mean, nearest
from tasks.dataset.syncing.download import fetch_data
from tasks.storage.download import fetch_objects
from tasks.storage.objects import read_if_there
from tasks.storage.receive import MANIFEST, FetchResult
from tasks.storage.sync_progress import Moved
from tasks.storage.uris import split_uri


def fetch(
    platform: Platform,
    source: str,
    folder: Path,
    *,
    progress: Callable[[Moved], None] | None = None,
    typed: str | None = None,
) -> FetchResult:
    """Make ``folder`` hold a data set, verified by its manifest, or what a training job wrote.

    Args:
        platform: where it is. source: name of a data set or of a training job, or
        ``s3://bucket/prefix``. folder: created if missing; nothing in it is deleted. progress:
        called after each file. typed: how ``folder`` is named.

    Raises:
        DataError: there is nothing of that name, or it is not complete.
        StoreFailed: an object cannot be read, or is not what it should be.
    """
    if folder.exists() and not folder.is_dir():
        raise DataError(f"'{typed or folder}' is a file: name a folder, or one to create.")
    bucket, prefix = find_source(platform, source)
    store = platform.store(bucket)
    if read_if_there(store, f"{prefix}/{MANIFEST}") is not None:
        return fetch_data(store, prefix, folder, progress=progress)
    return fetch_objects(store, prefix, folder, progress=progress)


def find_source(platform: Platform, source: str) -> tuple[str, str]:
    """Return bucket and key prefix of what a name or URI stands for.

    Raises:
        DataError: there is neither a data set nor a training job of that name.
    """
    if "/" in source:
        bucket, prefix = split_uri(source.rstrip("/"))
        return bucket, prefix
    if not source.strip():
        raise DataError("name a data set, a training job or s3://bucket/prefix")
    bucket = platform.defaults.bucket
    prefix = f"{platform.settings.prefix}/datasets/{source}"
    if read_if_there(platform.store(bucket), f"{prefix}/{MANIFEST}") is not None:
        return bucket, prefix
    try:
        job = platform.sagemaker.describe_training_job(TrainingJobName=source)
    except ClientError as error:
        message = clause(error.response["Error"]["Message"])
        hint = did_you_mean(_like(platform, source)).replace("did", " Did", 1)
        raise DataError(
            f"{source!r} is neither a data set in s3://{bucket}/{platform.settings.prefix}/"
            f"datasets/ nor a training job ({message}): `whippet jobs` lists jobs, and "
            f"s3://bucket/prefix names anything else.{hint}"
        ) from error
    return split_uri(f"{job['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{source}")


def _like(platform: Platform, name: str) -> list[str]:
    """Return the data sets whose names are like this one: names end with digits of their place."""
    store = platform.store(platform.defaults.bucket)
    below = f"{platform.settings.prefix}/datasets/"
    try:
        prefixes = obstore.list_with_delimiter(store, below)["common_prefixes"]
    except BaseError:  # a hint is not worth another failure
        return []
    names = [prefix.rstrip("/").rpartition("/")[2] for prefix in prefixes]
    begun = [each for each in names if each.rpartition("-")[0] == name]
    return begun or nearest(name, names, most=2)
