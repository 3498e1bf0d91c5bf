"""Many hostile clients in processes of their own, which give way to the server and to others."""

from __future__ import annotations

import multiprocessing
import os
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager

import httpx

from tests.worlds.hostile_bodies import hostile_body, hostile_connection

# Of the clients' processes: theirs would be other machines.
_NICE = 1
_CONNECTIONS = 0.15


@contextmanager
def senders(processes: int) -> Iterator[ProcessPoolExecutor]:
    """Give processes to run :func:`send` in; they have started when the block begins."""
    pool = ProcessPoolExecutor(
        processes, mp_context=multiprocessing.get_context("spawn"), initializer=_step_back
    )
    with pool:
        list(pool.map(_step_back_again, range(processes)))
        yield pool


def sent(
    pool: ProcessPoolExecutor, url: str, numbers: Sequence[int], *, clients: int, seed: int
) -> list[Future[Counter[int]]]:
    """Have the processes of a pool send bodies; return how often each status came, to come."""
    shares = pool._max_workers  # type: ignore[attr-defined]
    return [
        pool.submit(send, url, numbers[share::shares], max(1, clients // shares), seed)
        for share in range(shares)
    ]


def send(url: str, numbers: Sequence[int], clients: int, seed: int) -> Counter[int]:
    """Send the bodies of these numbers, by so many clients at a time; return the statuses."""
    most = httpx.Limits(max_connections=clients)
    with (
        ThreadPoolExecutor(clients) as threads,
        httpx.Client(base_url=url, timeout=120, limits=most, trust_env=False) as client,
    ):
        return Counter(threads.map(lambda number: _one(client, number, seed), numbers))


def _one(client: httpx.Client, number: int, seed: int) -> int:
    chance = random.Random(seed * 1_000_003 + number)
    if chance.random() < _CONNECTIONS:
        return hostile_connection(chance, (client.base_url.host, client.base_url.port or 0))
    body, headers = hostile_body(chance)
    try:
        answer = client.post("/invocations", content=body, headers=headers)
    except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
        return 400  # closed, before or while it came
    assert "Traceback" not in answer.text
    return answer.status_code


def _step_back() -> None:
    os.nice(_NICE)


def _step_back_again(_: int) -> None:
    """Do nothing, in a process that has started."""
