"""The API under thousands of hostile calls: an answer of 2xx or 4xx to each, nothing outside.

``make fuzz`` asks more of it: FUZZ_COUNT is how many calls, FUZZ_SEED where to begin.
"""

from __future__ import annotations

import asyncio
import json
import os
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from platforms.local.api.server import LocalApi
from platforms.local.api.wire import cbor
from platforms.local.api.wire.services import Service, services_of
from platforms.local.context import LocalContext
from platforms.validation import service_model
from tests.worlds.hostile_values import NAMES, Hostile, deep

CALLS = int(os.environ.get("FUZZ_COUNT", "1200"))
SEED = int(os.environ.get("FUZZ_SEED", "0"))
HOST = [("host", "127.0.0.1:1")]


class Caller:
    """Calls the application as a server would, without a socket."""

    def __init__(self, context: LocalContext) -> None:
        self.app = LocalApi(context).application()
        self.loop = asyncio.new_event_loop()

    def call(self, path: str, body: bytes, headers: list[tuple[str, str]]) -> tuple[int, bytes]:
        raw = [(k.encode("latin-1"), v.encode("utf-8", "replace")) for k, v in HOST + headers]
        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "raw_path": b"",
            "headers": raw,
        }
        scope |= {"query_string": b"", "root_path": "", "scheme": "http", "http_version": "1.1"}
        scope |= {"server": ("127.0.0.1", 1), "client": ("127.0.0.1", 2)}
        messages: list[Any] = []

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            messages.append(message)

        self.loop.run_until_complete(self.app(scope, receive, send))
        status = next(each["status"] for each in messages if "status" in each)
        return status, b"".join(each.get("body", b"") for each in messages)


@pytest.fixture
def caller(context: LocalContext) -> Iterator[Caller]:
    found = Caller(context)
    yield found
    found.loop.run_until_complete(found.loop.shutdown_default_executor())
    found.loop.close()


def requests(services: list[Service], hostile: Hostile) -> Iterator[tuple[str, bytes, list[Any]]]:
    """Yield calls of all operations in every protocol, made from the services' own models."""
    operations = [
        (service, name)
        for service in services
        for name in service_model(service.name).operation_names
        if any(name == each or _snake(name) == each for each in service.operations)
    ]
    while True:
        service, name = hostile.random.choice(operations)
        shape = service.model(name).input_shape
        value = hostile.of(shape) if shape is not None else hostile.anything()
        text = json.dumps(value).encode("utf-8", "surrogatepass")
        kind = hostile.random.random()
        prefix = service_model(service.name).metadata.get("targetPrefix")
        if kind < 0.6 and prefix:
            yield "/", text, [("x-amz-target", f"{prefix}.{name}")]
        elif kind < 0.75 and prefix:
            try:
                packed = cbor.encode(value)
            except Exception:  # noqa: BLE001 - what cannot be written is no body
                packed = text
            yield f"/service/{prefix}/operation/{name}", packed, []
        elif kind < 0.85:
            yield "/", _form(service, name, value, hostile), [("content-type", FORM)]
        elif kind < 0.95:
            place = hostile.text() if hostile.random.random() < 0.5 else "pets"
            path = f"/endpoints/{place}/{hostile.random.choice(('', 'async-'))}invocations"
            yield path, text, [(f"x-amzn-sagemaker-{each}", clean(hostile.text())) for each in REST]
        else:
            noise = hostile.random.randbytes(hostile.random.choice((0, 1, 40, 4000)))
            target = f"{prefix}.{clean(hostile.text())}"
            yield "/", noise, [("x-amz-target", target), ("content-type", clean(hostile.text()))]


FORM = "application/x-www-form-urlencoded"
REST = ("custom-attributes", "inputlocation", "inference-id", "target-variant", "requestttlseconds")


def clean(text: str) -> str:
    """Return text as a server lets it through in a header."""
    return "".join(each for each in text if each not in "\0\r\n" and each.isprintable())


def _snake(name: str) -> str:
    from botocore import xform_name

    return str(xform_name(name))


def _form(service: Service, name: str, value: Any, hostile: Hostile) -> bytes:
    pairs = {
        "Action": name,
        "Version": str(service_model(service.name).metadata.get("apiVersion", "")),
    }
    for key, each in value.items() if isinstance(value, dict) else ():
        pairs[
            f"{key}{hostile.random.choice(('', '.member.1', '.1', '.entry.1.key', '.' * 50))}"
        ] = str(each)
    return urllib.parse.urlencode(pairs, errors="replace").encode()


@pytest.mark.slow
def test_hostile_calls_get_answers_and_leave_nothing_outside(
    caller: Caller, context: LocalContext, tmp_path: Path
) -> None:
    services = services_of(context)
    before = set(tmp_path.rglob("*"))
    calls = requests(services, Hostile(SEED))
    statuses: dict[int, int] = {}
    for number in range(CALLS):
        path, body, headers = next(calls)
        status, answer = caller.call(path, body, headers)
        what = (SEED, number, path, headers, body[:600], status, answer[:600])
        assert 200 <= status < 300 or 400 <= status < 500, what
        assert b"Traceback" not in answer, what
        statuses[status] = statuses.get(status, 0) + 1
    assert statuses.get(200, 0) > CALLS * 0.02, statuses  # some of them do reach the operations
    outside = [
        path for path in set(tmp_path.rglob("*")) - before if context.home not in path.parents
    ]
    assert [path for path in outside if path != context.home] == []
    assert not any(".." in path.parts for path in context.home.rglob("*"))


@pytest.mark.parametrize("levels", [10, 100, 990, 5000, 200_000])
def test_deep_bodies(caller: Caller, levels: int) -> None:
    for content in (
        deep(levels),
        '{"ModelName":' + deep(levels) + "}",
        '{"a":' * levels + "1" + "}" * levels,
    ):
        status, answer = caller.call(
            "/", content.encode(), [("x-amz-target", "SageMaker.DescribeModel")]
        )
        assert 400 <= status < 500, answer[:300]
        assert len(answer) < 5000
    packed = b"\xa1\x69ModelName" + b"\x81" * levels + b"\x00"
    status, _ = caller.call(
        "/service/GraniteServiceVersion20100801/operation/PutMetricData", packed, []
    )
    assert 400 <= status < 500


@pytest.mark.parametrize("name", NAMES)
def test_a_name_reaches_no_file_outside(caller: Caller, name: str, tmp_path: Path) -> None:
    (tmp_path / "record.json").write_text("{}")
    for operation, member in (
        ("DescribeTrainingJob", "TrainingJobName"),
        ("DeleteModel", "ModelName"),
        ("DeleteEndpoint", "EndpointName"),
        ("StopTransformJob", "TransformJobName"),
        ("ListTags", "ResourceArn"),
    ):
        body = json.dumps({member: name}).encode("utf-8", "surrogatepass")
        status, answer = caller.call("/", body, [("x-amz-target", f"SageMaker.{operation}")])
        assert 200 <= status < 500, answer
        assert b"Traceback" not in answer
    assert (tmp_path / "record.json").read_text() == "{}"
