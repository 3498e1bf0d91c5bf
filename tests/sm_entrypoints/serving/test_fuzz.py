"""A real model server under hostile bodies and clients: 2xx or 4xx, and it serves on as before.

``make fuzz`` sends FUZZ_COUNT bodies (10,000) and prints what the others' latency and the
server's memory did meanwhile; FUZZ_SEED begins elsewhere.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path

import httpx
import psutil
import pytest
import torch

from sm_entrypoints.models.model import ModelCard, build_model, save_model
from tests.worlds.hostile_bodies import good_picture
from tests.worlds.hostile_senders import senders, sent
from tests.worlds.waiting import wait_for

pytestmark = pytest.mark.slow
PROJECT = Path(__file__).resolve().parents[3]
BODIES = int(os.environ.get("FUZZ_COUNT", "80"))
SEED = int(os.environ.get("FUZZ_SEED", "0"))
CLIENTS, PROCESSES = (200, 2) if BODIES >= 1000 else (12, 1)
ALLOWED = {*range(200, 300), *range(400, 500)}
# What a server may hold at a time: the bodies that wait, one unpacked, one decoded, and a picture's
# pixels as floats. The allocator keeps it; a leak of thousands of bodies would be many times that.
MOST_GROWTH = 450 << 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, psutil.Process]]:
    """The address and the process of a server of a real, small model, with its own limits."""
    folder = tmp_path_factory.mktemp("fuzzed")
    torch.manual_seed(0)
    card = ModelCard(
        architecture="squeezenet1_1", classes=("cat", "dog"), image_size=64, resize_size=73
    )
    save_model(folder, build_model("squeezenet1_1", 2), card)
    shutil.copytree(
        PROJECT / "sm_entrypoints",
        folder / "code" / "sm_entrypoints",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    shutil.copy(PROJECT / "sm_entrypoints" / "inference.py", folder / "code")
    environment = {
        "PATH": os.environ["PATH"],
        "OMP_NUM_THREADS": "1",
        "SM_MODEL_DIR": str(folder),
        "SAGEMAKER_BIND_TO_PORT": "0",
        "SAGEMAKER_PORT_FILE": str(folder / "port"),
    }
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, str(PROJECT / "sm_entrypoints" / "serve.py")],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_for((folder / "port").exists, "port")
        url = f"http://127.0.0.1:{(folder / 'port').read_text().strip()}"
        wait_for(lambda: httpx.get(f"{url}/ping").status_code == 200, "the model")
        yield url, psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(40)
        assert "Traceback" not in (folder / "log").read_text(), (folder / "log").read_text()[-3000:]


def test_hostile_bodies_are_refused_and_cost_nothing_that_stays(
    server: tuple[str, psutil.Process],
) -> None:
    url, process = server
    with senders(PROCESSES) as pool, httpx.Client(timeout=120, trust_env=False) as client:
        polite = Polite(client, f"{url}/invocations")
        polite.ask_until(lambda: len(polite.seconds) >= 40)
        alone = polite.taken()
        counts: Counter[int] = Counter()
        memory = []
        for tenth in (
            range(BODIES)[at : at + BODIES // 10] for at in range(0, BODIES, BODIES // 10)
        ):
            at_work = sent(pool, url, tenth, clients=CLIENTS, seed=SEED)
            polite.ask_until(partial(_are_done, at_work))
            counts += sum((each.result() for each in at_work), Counter())
            memory.append(process.memory_info().rss)
            print(f"{tenth.stop:,} bodies: {memory[-1] / 1e6:.0f} MB", flush=True)
    # Of the second half: what a server takes once, it may keep.
    grown = memory[-1] - memory[len(memory) // 2]
    print(f"\n{BODIES} bodies, {CLIENTS} clients: {dict(sorted(counts.items()))}")
    print(polite.summary(alone))
    assert set(counts) <= ALLOWED, counts
    assert counts[400] > BODIES * 0.2
    assert grown < MOST_GROWTH
    assert process.is_running()
    assert httpx.post(f"{url}/invocations", content=good_picture()).status_code == 200


def _are_done(at_work: Sequence[Future[Counter[int]]]) -> bool:
    return all(each.done() for each in at_work)


class Polite:
    """A client that sends small pictures beside the others, and notes what it sees."""

    def __init__(self, client: httpx.Client, url: str) -> None:
        self._client, self._url = client, url
        self.seconds: list[float] = []
        self.refused = 0

    def ask_until(self, over: Callable[[], bool]) -> None:
        """Ask again and again, 20 ms after each answer."""
        picture = good_picture()
        while not over():
            began = time.perf_counter()
            status = self._client.post(self._url, content=picture).status_code
            assert status in (200, 429)
            if status == 200:
                self.seconds.append(time.perf_counter() - began)
            self.refused += status == 429
            time.sleep(0.02)

    def taken(self) -> list[float]:
        """Return the seconds of the answers so far, and forget them."""
        seconds, self.seconds = self.seconds, []
        return seconds

    def summary(self, alone: list[float]) -> str:
        """Return what the others did to it, in words."""
        before, beside = statistics.median(alone), statistics.median(self.seconds or [0])
        return (
            f"a polite client: {len(self.seconds)} answers, {self.refused} times told to come "
            f"back; p50 {before * 1000:.1f} ms alone, {beside * 1000:.1f} ms beside them "
            f"({beside / before:.2f} times; goal: 2), p95 {_p95(alone):.1f} and "
            f"{_p95(self.seconds):.1f} ms"
        )


def _p95(seconds: list[float]) -> float:
    return sorted(seconds)[int(0.95 * len(seconds))] * 1000 if seconds else 0.0


def test_a_connection_that_sends_nothing_hinders_nobody(
    server: tuple[str, psutil.Process],
) -> None:
    url, _ = server
    host, port = url.removeprefix("http://").split(":")
    silent = [socket.create_connection((host, int(port))) for _ in range(60)]
    try:
        assert httpx.post(f"{url}/invocations", content=good_picture()).status_code == 200
    finally:
        for each in silent:
            each.close()
