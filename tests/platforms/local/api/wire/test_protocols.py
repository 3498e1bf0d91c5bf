"""Bodies that no client of ours would send."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import httpx
import pytest
from botocore.parsers import RpcV2CBORParser

from platforms.local.api.wire import cbor
from platforms.local.context import local_context
from platforms.settings import Settings
from tests.worlds.local.served import served

RPC = "/service/GraniteServiceVersion20100801/operation/ListMetrics"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home: Path = tmp_path_factory.mktemp("home")
    with served(local_context(Settings(home=home))) as url:
        yield url


def post(url: str, body: bytes, kind: str) -> httpx.Response:
    with httpx.Client(trust_env=False) as http:
        return http.post(url, content=body, headers={"Content-Type": kind})


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"a": [1, -1, 23, 24, 255, 256, 65_536, 2**32, -(2**40)], "é": "ü" * 300},
        {"a": {"b": {"c": [True, False, 1.5, -0.0]}}},
        {"blob": bytes(range(256)), "empty": [[], {}, "", b""]},
    ],
)
def test_cbor_is_what_botocore_reads(value: object) -> None:
    parser = RpcV2CBORParser()
    written = cbor.encode(value)
    assert parser.parse_data_item(parser.get_peekable_stream_from_bytes(written)) == value
    assert cbor.decode(written) == value


def test_cbor_has_times_and_drops_nulls() -> None:
    moment = datetime(2026, 5, 4, 10, 30, 20, 500_000, tzinfo=UTC)
    assert cbor.decode(cbor.encode({"at": moment, "none": None})) == {"at": moment}


@pytest.mark.parametrize(
    "body",
    [
        b"\xa1",  # a map of one, cut off
        b"\x9f" * 100_000,  # lists in lists
        b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff",  # a map of 2^64 members
        b"\x61\xff",  # no UTF-8
        b"\x81\x01",  # no map
        b"\xa1\x01\x02",  # a member without a name
        b"\xa1\x80\x02",  # a list as a name
        b"\xc2\x41\x00",  # a tag that the protocol has not
        b"\xc1\x61x",  # a time that is text
        b"\xa1\x61x\xc1\xfb\x7f\xf0\x00\x00\x00\x00\x00\x00",  # an infinite time
    ],
)
def test_damaged_cbor_is_an_error_in_cbor(url: str, body: bytes) -> None:
    answer = post(url + RPC, body, "application/cbor")
    assert answer.status_code == 400, answer.content
    assert answer.headers["content-type"] == "application/cbor"
    assert answer.headers["smithy-protocol"] == "rpc-v2-cbor"
    told = cbor.decode(answer.content)
    assert told["__type"] in {"ValidationException", "SerializationException"}
    assert told["message"]


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (b"", "UnknownOperationException", "no service ''"),
        (b"Action=ListMetrics&Version=2010-08-01&Typo=1", "ValidationException", "Typo"),
        (b"Action=&Version=2010-08-01", "UnknownOperationException", "ListMetrics"),
        (b"Action=ListMetric&Version=2010-08-01", "UnknownOperationException", "nearest"),
        (b"Version=1&Action=ListMetrics", "UnknownOperationException", "2010-08-01 (cloudwatch)"),
        (b"\xff=\xff", "ValidationException", "not a valid form"),
        (b"&".join([b"a=b"] * 30_000), "ValidationException", "not a valid form"),
        (
            b"Action=ListMetrics&Version=2010-08-01&IncludeLinkedAccounts=perhaps",
            "ValidationException",
            "'perhaps' is not a valid boolean",
        ),
    ],
)
def test_damaged_forms_are_errors_in_xml(url: str, body: bytes, code: str, words: str) -> None:
    answer = post(url, body, "application/x-www-form-urlencoded; charset=utf-8")
    assert answer.status_code == 400
    error = ElementTree.fromstring(answer.content).find("Error")
    assert error is not None
    assert (error.findtext("Type"), error.findtext("Code")) == ("Sender", code)
    assert words in (error.findtext("Message") or "")
