"""The API over HTTP for tests: a real server on a free port of this machine, in a thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import httpx
import uvicorn
from botocore.config import Config

from platforms.local.api.server import api_server
from platforms.local.context import LocalContext
from platforms.loopback import HOST, listen

REGION = "eu-west-1"
KEYS = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}


@contextmanager
def served(context: LocalContext) -> Iterator[str]:
    """Give the URL of the API over a context."""
    with in_a_thread(api_server(context)) as url:
        yield url


@contextmanager
def in_a_thread(server: uvicorn.Server) -> Iterator[str]:
    """Give the URL of a server that runs until the block ends."""
    with listen(0, backlog=128) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        try:
            yield f"http://{HOST}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)


def client(service: Any, url: str, **config: Any) -> Any:
    """Return boto3's own client of a server."""
    config = {"retries": {"max_attempts": 0}, **config}
    return boto3.client(
        service, region_name=REGION, endpoint_url=url, config=Config(**config), **KEYS
    )


@contextmanager
def moto_server() -> Iterator[str]:
    """Give the URL of moto's server of S3, STS and IAM, with nothing in it."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address=HOST, port=0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    try:
        # What is in it belongs to the process, not to the server.
        httpx.post(f"{url}/moto-api/reset", trust_env=False).raise_for_status()
        yield url
    finally:
        server.stop()
