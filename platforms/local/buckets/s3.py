"""Buckets on an S3 server for local jobs: inputs are downloaded, outputs are uploaded.

Used when another client (an SDK over ``whippet api``) keeps its data in S3. Credentials are boto3's
own, from the environment or its files; they are in no record, and no job sees them.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import obstore
from botocore.exceptions import BotoCoreError
from obstore.exceptions import BaseError

from platforms.archives import regular_files
from platforms.files import replacing
from platforms.local.buckets.buckets import BadUri, BucketError, is_plain, split_uri
from platforms.s3_stores import S3Stores
from sm_entrypoints.contract.sentences import clause, ended

if TYPE_CHECKING:
    from obstore.store import RetryConfig

_TRANSFERS = 8
_QUICK: RetryConfig = {"max_retries": 4, "retry_timeout": timedelta(seconds=20)}


@cache
def s3_buckets(endpoint: str, region: str) -> S3Buckets:
    """Return the buckets of a server: one object, one set of connections, in a process.

    Raises:
        BucketError: boto3 cannot be set up.
    """
    return S3Buckets(endpoint, region=region)


class S3Buckets:
    """See :class:`platforms.local.buckets.buckets.Buckets`."""

    def __init__(self, endpoint: str, *, region: str) -> None:
        """Use a server; ``region`` is signed for when boto3 knows none.

        Raises:
            BucketError: boto3 finds no credentials, or no such profile.
        """
        try:
            session = boto3.Session()
            if session.region_name is None:
                session = boto3.Session(region_name=region)
            credentials = session.get_credentials()
        except BotoCoreError as error:
            raise BucketError(f"boto3 cannot be set up for {endpoint}: {error}") from error
        if credentials is None:
            raise BucketError(
                f"no credentials for the S3 server {endpoint}: set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
            )
        self._endpoint = endpoint
        self._stores = S3Stores(session, endpoint)
        # Somebody waits for the answer to a question; a transfer may take its time.
        self._quick = S3Stores(session, endpoint, retries=_QUICK)
        # What was copied in either direction, so that an unchanged file is not sent again.
        self._sent: dict[Path, tuple[int, int]] = {}

    def __call__(self, bucket: str) -> Any:
        """Return the obstore store of a bucket; does not check whether it exists."""
        split_uri(f"s3://{bucket}")
        return self._stores(bucket)

    def where(self, bucket: str) -> str:
        """Return the bucket's address."""
        return f"{self._endpoint.rstrip('/')}/{bucket}"

    def is_object(self, uri: str) -> bool:
        """Ask the server for an object of exactly this URI."""
        bucket, key = split_uri(uri)
        if not key:
            return False
        with _explained(uri):
            try:
                obstore.head(self._quick(bucket), key)
            except FileNotFoundError:
                return False
        return True

    def has_objects(self, uri: str) -> bool:
        """Ask the server for one object of this URI or below it."""
        bucket, _ = split_uri(uri)
        return self.is_object(uri) or next(_below(self._quick(bucket), uri), None) is not None

    @contextmanager
    def reading(self, uri: str, scratch: Path) -> Iterator[Path]:
        """Download an object for a while."""
        bucket, key = split_uri(uri)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=scratch) as folder:
            path = Path(folder, key.rpartition("/")[2] or "object")
            self._download(bucket, key, path)
            yield path

    @contextmanager
    def writing(
        self, uri: str, scratch: Path, *, content_type: str | None = None
    ) -> Iterator[Path]:
        """Give a path in ``scratch`` and upload what was written there."""
        bucket, key = split_uri(uri)
        with tempfile.TemporaryDirectory(prefix=".upload-", dir=scratch) as folder:
            path = Path(folder, "object")
            yield path
            self._upload(bucket, path, key, content_type=content_type)

    def mount(self, uri: str, folder: Path) -> None:
        """Download the object, or all objects below the URI, into a new folder."""
        bucket, key = split_uri(uri)
        folder.mkdir()
        if self.is_object(uri):
            self._download(bucket, key, folder / key.rpartition("/")[2])
            return
        self.pull(uri, folder)

    def on_disk(self, uri: str) -> Path | None:
        """Return None: objects of a server are not on this disk."""
        split_uri(uri)
        return None

    def push(self, folder: Path, uri: str, *, files: Iterable[Path] | None = None) -> None:
        """Upload files that changed since this process sent or got them."""
        if not folder.is_dir():
            return
        bucket, prefix = split_uri(uri)
        looked_at = regular_files(folder) if files is None else files
        changed = [path for path in looked_at if self._sent.get(path) != _state(path)]
        _all_at_once(
            partial(self._upload, bucket, path, _key(prefix, path.relative_to(folder).as_posix()))
            for path in changed
        )

    def pull(self, uri: str, folder: Path) -> None:
        """Download all objects below a URI.

        Raises:
            BadUri: a key cannot be a file below ``folder``; names it.
        """
        bucket, _ = split_uri(uri)
        _all_at_once(
            partial(self._download, bucket, key, folder / name)
            for key, name in _below(self(bucket), uri)
        )

    def _download(self, bucket: str, key: str, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        explained = _explained(f"s3://{bucket}/{key}")
        with replacing(path) as fresh, explained, fresh.open("wb") as file:
            for chunk in obstore.get(self(bucket), key).stream():
                file.write(chunk)
        self._remember(path)

    def _upload(
        self, bucket: str, path: Path, key: str, *, content_type: str | None = None
    ) -> None:
        try:
            file = path.open("rb")
        except FileNotFoundError:  # Gone since it was listed.
            return
        with file, _explained(f"s3://{bucket}/{key}"):
            stat = os.fstat(file.fileno())
            attributes: Any = {"Content-Type": content_type} if content_type else None
            obstore.put(self(bucket), key, file, attributes=attributes)
        # As it was when it was read: a later change counts as one.
        self._sent[path] = stat.st_size, stat.st_mtime_ns

    def _remember(self, path: Path) -> None:
        state = _state(path)
        if state is not None:
            self._sent[path] = state


def _below(store: Any, uri: str) -> Iterator[tuple[str, str]]:
    """Yield key and name relative to ``uri`` of each object below it."""
    bucket, prefix = split_uri(uri)
    with _explained(uri):
        for page in obstore.list(store, prefix=prefix or None):
            for item in page:
                key = str(item["path"])
                name = key[len(prefix) :].lstrip("/")
                # An empty object that stands for a folder, as consoles make them.
                if not name or (item["size"] == 0 and key.endswith("/")):
                    continue
                if not is_plain(name):
                    raise BadUri(f"s3://{bucket}/{key} cannot be a file below {uri}")
                yield key, name


def _state(path: Path) -> tuple[int, int] | None:
    """Return size and time of a file; None when it is gone."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_size, stat.st_mtime_ns


def _key(prefix: str, name: str) -> str:
    return f"{prefix}/{name}" if prefix else name


def _all_at_once(transfers: Iterable[Callable[[], None]]) -> None:
    """Do all transfers, several at a time; raise the first error."""
    with ThreadPoolExecutor(_TRANSFERS, thread_name_prefix="s3") as executor:
        running = [executor.submit(transfer) for transfer in transfers]
        try:
            for done in running:
                done.result()
        except BaseException:
            executor.shutdown(cancel_futures=True)
            raise


@contextmanager
def _explained(uri: str) -> Iterator[None]:
    """Give the client's errors a sentence; a missing object stays ``FileNotFoundError`` no more."""
    try:
        yield
    except FileNotFoundError as error:
        raise BucketError(f"{uri} does not exist: {_first_line(error)}") from error
    except (BaseError, PermissionError) as error:
        raise BucketError(
            f"{uri} cannot be read or written: {ended(_first_line(error))} Check the endpoint, the "
            "credentials (AWS_ACCESS_KEY_ID, AWS_PROFILE) and that the bucket exists."
        ) from error


def _first_line(error: Exception) -> str:
    return clause((str(error).strip().splitlines() or [type(error).__name__])[0])[:300]
