"""Listings against a server that answers as S3 does: 1,000 keys a page, in the order of bytes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

import pytest
from obstore.store import MemoryStore, S3Store

from tasks.storage.listing import PAGE, list_objects
from tasks.storage.objects import StoreFailed

PREFIX = "whippet/datasets/pets"


class Bucket(ThreadingHTTPServer):
    """A bucket that can only be listed; remembers what was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.keys: list[str] = []
        self.asked: list[dict[str, str]] = []
        self.refuses = False

    def hold(self, names: list[str]) -> None:
        self.keys = sorted((f"{PREFIX}/{name}" for name in names), key=str.encode)

    def store(self) -> S3Store:
        return S3Store(
            "bucket",
            endpoint=f"http://127.0.0.1:{self.server_port}",
            region="eu-west-1",
            access_key_id="k",
            secret_access_key="s",
            virtual_hosted_style_request=False,
            client_options={"allow_http": True},
        )


class _Answer(BaseHTTPRequestHandler):
    server: Bucket

    def do_GET(self) -> None:
        query = {name: value for name, [value] in parse_qs(urlsplit(self.path).query).items()}
        self.server.asked.append(query)
        after = query.get("continuation-token") or query.get("start-after", "")
        rest = [key for key in self.server.keys if key.encode() > after.encode()]
        found, more = rest[:PAGE], len(rest) > PAGE
        items = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(key)}</Size><ETag>&quot;t&quot;"
            "</ETag><LastModified>2026-11-22T10:00:00.000Z</LastModified></Contents>"
            for key in found
        )
        last = escape(found[-1]) if more else ""
        token = f"<NextContinuationToken>{last}</NextContinuationToken>" * more
        head = f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}"
        body = f"<ListBucketResult>{head}{items}</ListBucketResult>".encode()
        self.send_response(403 if self.server.refuses else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    with Bucket() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def names(count: int, folder: str = "train/a") -> list[str]:
    return [f"{folder}/{number:05d}.jpg" for number in range(count)]


def test_pages_that_are_expected_are_asked_for_at_once(bucket):
    bucket.hold(["manifest.json", *names(8000)])
    found = list_objects(bucket.store(), PREFIX, ["manifest.json", *names(8000)])
    assert sorted(found) == ["manifest.json", *names(8000)]
    assert {(each.size, each.tag) for name, each in found.items() if name in names(1)} == {
        (len(f"{PREFIX}/train/a/00000.jpg"), "t")
    }
    assert len(bucket.asked) == 9
    # No answer was needed to ask the next: each says itself where to begin.
    assert not [query for query in bucket.asked if "continuation-token" in query]


def test_what_is_not_expected_is_found_too(bucket):
    there = [*names(2500), *names(1700, "train/b"), *names(1100, "valid/z")]
    bucket.hold(there)
    expected = [*names(4000)[1200:], *names(10, "train/q")]
    assert sorted(list_objects(bucket.store(), PREFIX, expected)) == sorted(there)


def test_a_few_objects_more_than_expected_cost_no_pages_more(bucket):
    bucket.hold(["manifest.json", *names(90, "test/a"), *names(7300)])
    found = list_objects(bucket.store(), PREFIX, names(8001))
    assert len(found) == 7391
    assert len(bucket.asked) == 9


def test_not_every_page_is_asked_for_when_there_is_nothing(bucket):
    assert list_objects(bucket.store(), PREFIX, names(50_000)) == {}
    assert len(bucket.asked) == 8


@pytest.mark.parametrize("folder", ["train/two words", "train/é", "train/a+b%20"])
def test_odd_names_are_listed_one_page_after_the_other(bucket, folder):
    bucket.hold(names(3300, folder))
    assert sorted(list_objects(bucket.store(), PREFIX, names(3300, folder))) == names(3300, folder)
    assert len(bucket.asked) == 4
    assert len([query for query in bucket.asked if "continuation-token" in query]) == 3


def test_a_bucket_that_refuses_is_named(bucket):
    bucket.refuses = True
    with pytest.raises(StoreFailed, match=r"Could not list .*s3:ListBucket on arn:aws:s3:::bucket"):
        list_objects(bucket.store(), PREFIX, names(3000))


def test_a_store_without_pages_is_read_as_a_whole():
    store = MemoryStore()
    for name in names(3):
        store.put(f"{PREFIX}/{name}", b"x")
    assert sorted(list_objects(store, PREFIX, names(5000))) == names(3)
