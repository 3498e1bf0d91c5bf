"""Our side of :mod:`benchmarks.sync`, one process a transfer, as the others are.

    python -m benchmarks.sync_client (up|down) FOLDER PORT PREFIX [CACHE]

Up includes what the data check does before it on files that are no images: find and hash them.
"""

from __future__ import annotations

import hashlib
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from obstore.store import S3Store

from tasks.data_check import DataCheck
from tasks.data_files import DataFile
from tasks.data_sync import sync_data
from tasks.data_sync_cache import StatCache, identity
from tasks.data_sync_download import fetch_data

BUCKET, ACCESS_KEY, SECRET_KEY, REGION = "bench", "BENCHMARKS0123456789", "s" * 40, "us-east-1"


def check_of(root: Path, cache: StatCache) -> DataCheck:
    """Return the check of a folder, without looking for images in it."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        paths = sorted(root.rglob("*.jpg"))
        files = list(pool.map(lambda path: _file(path, root, cache), paths))
    cache.save()
    return DataCheck(
        name=root.name,
        root=root,
        fingerprint="",
        files=tuple(files),
        warnings=(),
        split_source="folders",
    )


def _file(path: Path, root: Path, cache: StatCache) -> DataFile:
    digest = cache.get(path)
    if digest is None:
        before = identity(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        cache.put(path, before, digest)
    relative = path.relative_to(root).as_posix()
    split, label, name = relative.split("/", 2)
    return DataFile(
        path=relative,
        split=split,
        label=label,
        name=name,
        size=path.stat().st_size,
        sha256=digest,
        width=1,
        height=1,
    )


def main() -> int:
    """Transfer as the arguments say."""
    way, folder, port, prefix = sys.argv[1:5]
    store = S3Store(
        BUCKET,
        endpoint=f"http://127.0.0.1:{port}",
        region=REGION,
        access_key_id=ACCESS_KEY,
        secret_access_key=SECRET_KEY,
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )
    if way == "up":
        cache = StatCache(Path(sys.argv[5]), "sha256")
        result = sync_data(check_of(Path(folder), cache), store, prefix)
        print(f"{result.uploaded} sent")
    else:
        print(f"{fetch_data(store, prefix, Path(folder)).fetched} fetched")
    return 0


if __name__ == "__main__":
    sys.exit(main())
