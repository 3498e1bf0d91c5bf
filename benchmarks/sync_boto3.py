"""Threaded boto3 as people usually write it, for :mod:`benchmarks.sync`: 16 threads, one client.

    python benchmarks/sync_boto3.py (up|down) FOLDER ENDPOINT BUCKET PREFIX

Keys, region and settings come from boto3's environment variables. Run by .venv-bench's interpreter.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
from botocore.config import Config

_THREADS = 16


def main() -> int:
    """Transfer as the arguments say."""
    way, folder, endpoint, bucket, prefix = sys.argv[1:]
    root = Path(folder)
    config = Config(max_pool_connections=_THREADS, s3={"addressing_style": "path"})
    client = boto3.client("s3", endpoint_url=endpoint, config=config)

    def send(path: Path) -> None:
        key = f"{prefix}/{path.relative_to(root).as_posix()}"
        client.upload_file(str(path), bucket, key)

    def receive(key: str) -> None:
        target = root / key.removeprefix(f"{prefix}/")
        target.parent.mkdir(parents=True, exist_ok=True)
        client.download_file(bucket, key, str(target))

    with ThreadPoolExecutor(_THREADS) as pool:
        if way == "up":
            done = list(pool.map(send, root.rglob("*.jpg")))
        else:
            pages = client.get_paginator("list_objects_v2").paginate(
                Bucket=bucket, Prefix=f"{prefix}/"
            )
            keys = [item["Key"] for page in pages for item in page["Contents"]]
            done = list(pool.map(receive, keys))
    print(f"{len(done)} transferred")
    return 0


if __name__ == "__main__":
    sys.exit(main())
