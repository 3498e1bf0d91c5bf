"""Our side of :mod:`benchmarks.sync`: one process per transfer, like the others.

    python -m benchmarks.sync_client (up|down) FOLDER PORT PREFIX [CACHE]

Up includes the data check's work on files that are not images: find and hash them.
"""

from __future__ import annotations

import hashlib
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from obstore.store import S3Store

from tasks.dataset.checking.files import DataFile
from tasks.dataset.checking.stat_cache import StatCache, identity
from tasks.dataset.syncing.download import fetch_data
from tasks.dataset.syncing.sync import sync_data

BUCKET, ACCESS_KEY, SECRET_KEY, REGION = "bench", "BENCHMARKS0123456789", "s" * 40, "us-east-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the sync needs of a data check: the folder, and its files with their digests."""

    root: Path
    files: tuple[DataFile, ...]


def find_files(root: Path, cache: StatCache) -> Found:
    """Return the files of a folder, hashed unless the cache knows them."""
    paths = [
        path
        for split in root.iterdir()
        for label in split.iterdir()
        for path in label.iterdir()
        if path.suffix == ".jpg"
    ]
    known = {path: cache.get(path) for path in paths}
    fresh = [path for path, found in known.items() if found is None]
    hands = os.cpu_count() or 1
    with ThreadPoolExecutor(hands) as pool:
        parts = pool.map(
            lambda hand: [_hash(path, cache) for path in fresh[hand::hands]], range(hands)
        )
        for hand, part in enumerate(parts):
            known.update(zip(fresh[hand::hands], part, strict=True))
    cache.save()
    return Found(root=root, files=tuple(_file(path, found) for path, found in known.items()))


def _hash(path: Path, cache: StatCache) -> dict[str, Any]:
    before = identity(path)
    content = path.read_bytes()
    found = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    cache.put(path, before, found)
    return found


def _file(path: Path, found: dict[str, Any]) -> DataFile:
    split, label, name = path.parts[-3:]
    return DataFile(
        path=f"{split}/{label}/{name}",
        split=split,
        label=label,
        name=name,
        size=found["size"],
        sha256=found["sha256"],
        width=1,
        height=1,
    )


def store_at(port: int, **options: Any) -> S3Store:
    """Return the store of the bucket, by a port of this machine."""
    return S3Store(
        BUCKET,
        endpoint=f"http://127.0.0.1:{port}",
        region=REGION,
        access_key_id=ACCESS_KEY,
        secret_access_key=SECRET_KEY,
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
        **options,
    )


def main() -> int:
    """Transfer as the arguments say."""
    way, folder, port, prefix = sys.argv[1:5]
    store = store_at(int(port), checksum_algorithm="SHA256")
    if way == "up":
        files = find_files(Path(folder), StatCache(Path(sys.argv[5]), "sha256"))
        print(f"{sync_data(files, store, prefix).uploaded} sent")
    else:
        print(f"{fetch_data(store, prefix, Path(folder)).fetched} fetched")
    return 0


if __name__ == "__main__":
    sys.exit(main())
