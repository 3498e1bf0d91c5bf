"""Data sets of plain bytes, and the store of a bucket behind a proxy."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import obstore
from obstore.store import S3Store

from benchmarks.s3_proxy import FAULTS, FaultyProxy, Plan
from tasks.dataset.checking.check import DataCheck
from tasks.dataset.checking.files import DataFile
from tasks.dataset.syncing.download import fetch_data
from tasks.dataset.syncing.sync import sync_data
from tests.worlds.local.served import REGION, client, moto_server

BUCKET = "a-bucket"
PREFIX = "whippet/datasets/bytes"


def seeded_plan(seed: int, share: float) -> Plan:
    """Return a plan that breaks about ``share`` of all requests, with every fault as often.

    Listings are never falsified: nothing tells a falsified listing but an encrypted line.
    """
    chance = random.Random(seed)
    deck: list[str] = []
    only = {"falsify answer": "GET object", "falsify request": "PUT object"}

    def plan(kind: str, _: str) -> str | None:
        if chance.random() >= share:
            return None
        if not any(only.get(fault, kind) == kind for fault in deck):
            deck.extend(chance.sample(FAULTS, len(FAULTS)))
        fault = next(fault for fault in deck if only.get(fault, kind) == kind)
        deck.remove(fault)
        return fault

    return plan


def write_files(root: Path, count: int, sizes: tuple[int, int], seed: int = 0) -> None:
    """Write files of random bytes and random size, in the folders of splits and classes."""
    chance = random.Random(seed)
    for number in range(count):
        split = ("train", "train", "valid", "test")[number % 4]
        path = root / split / f"class {number % 3}" / f"{number:05d} é.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(chance.randbytes(chance.randint(*sizes)))


def checked(root: Path) -> DataCheck:
    """Return the check of such a folder, without looking for images in it."""
    files = []
    for path in sorted(root.rglob("*.jpg")):
        content, relative = path.read_bytes(), path.relative_to(root).as_posix()
        split, label, name = relative.split("/", 2)
        files.append(
            DataFile(
                path=relative,
                split=split,
                label=label,
                name=name,
                size=len(content),
                sha256=hashlib.sha256(content).hexdigest(),
                width=1,
                height=1,
            )
        )
    return DataCheck(
        name="bytes",
        root=root,
        fingerprint="",
        files=tuple(files),
        warnings=(),
        split_source="folders",
    )


def open_store(port: int, **options: Any) -> Any:
    """Return the store of the bucket behind a port of this machine."""
    return S3Store(
        BUCKET,
        endpoint=f"http://127.0.0.1:{port}",
        region="eu-west-1",
        access_key_id="testing",
        secret_access_key="testing",
        virtual_hosted_style_request=False,
        checksum_algorithm="SHA256",
        client_options={"allow_http": True, "timeout": timedelta(seconds=20)},
        retry_config={
            "backoff": {
                "init_backoff": timedelta(milliseconds=20),
                "max_backoff": timedelta(seconds=1),
                "base": 2,
            },
            "max_retries": 10,
            "retry_timeout": timedelta(seconds=60),
        },
        **options,
    )


@contextmanager
def bucket_port() -> Iterator[int]:
    """Give the port of moto's server, with the bucket in it."""
    with moto_server() as url:
        where = {"LocationConstraint": REGION}
        client("s3", url).create_bucket(Bucket=BUCKET, CreateBucketConfiguration=where)
        yield int(url.rpartition(":")[2])


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder, hidden ones too, by its path."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def below(store: Any) -> dict[str, bytes]:
    """Return every object of the data set, by its key without the prefix."""
    keys = [item["path"] for page in obstore.list(store, prefix=PREFIX) for item in page]
    found = {key.removeprefix(f"{PREFIX}/"): bytes(obstore.get(store, key).bytes()) for key in keys}
    return {key: content for key, content in found.items() if key != "manifest.json"}


def up_and_down(port: int, folder: Path, count: int, share: float, seed: int) -> int:
    """Sync and fetch through faults; return how many there were."""
    source, target = folder / "source", folder / "it's the target"
    write_files(source, count, (3_000, 9_000))
    size = sum(path.stat().st_size for path in source.rglob("*.jpg"))
    with FaultyProxy(port, seeded_plan(seed, share)) as proxy:
        sync_data(checked(source), open_store(proxy.port), PREFIX)
        assert below(open_store(port)) == contents(source)
        seen = proxy.traffic
        up = seen.sent
        manifest = len(bytes(obstore.get(open_store(port), f"{PREFIX}/manifest.json").bytes()))
        fetch_data(open_store(proxy.port), PREFIX, target)
    assert contents(target) == contents(source)
    assert set(seen.faults) == set(FAULTS)
    # The manifest is written several times, and answers of listings are no data.
    allowance = 12 * manifest
    assert up <= 1.2 * size + allowance
    assert seen.received <= 1.2 * size + 4 * allowance
    return seen.faults.total()
