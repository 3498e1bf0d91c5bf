"""A local TCP relay that adds a fixed delay in each direction. Linux only.

It reads and interprets nothing: incoming data is spliced into a pipe and, after the delay, on to
the other side, so no byte passes through this process. (A relay that copied took more processor
time than the clients under test.)
"""

from __future__ import annotations

import contextlib
import fcntl
import heapq
import itertools
import os
import selectors
import socket
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Self

HOST = "127.0.0.1"
_PIPE_BYTES = 2**20
_AGAIN = 0.001
_FLAGS = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK


@dataclass(slots=True, kw_only=True)
class _Parcel:
    """What arrived at once, in a pipe of its own; without a pipe: the end."""

    due: float
    pipe: tuple[int, int] | None
    size: int


@dataclass(slots=True, kw_only=True, eq=False)
class _Way:
    """One direction of a connection, and what is on its way."""

    source: socket.socket
    target: socket.socket
    parcels: deque[_Parcel] = field(default_factory=deque)
    ended: bool = False
    back: _Way | None = None


class DelayLine:
    """A line that everything takes ``seconds`` to pass, there and back each; a context manager."""

    def __init__(self, upstream_port: int, seconds: float) -> None:
        """Delay what goes to ``upstream_port`` of this machine and what comes back."""
        self._upstream, self._seconds = upstream_port, seconds
        self._selector = selectors.DefaultSelector()
        self._listener = socket.create_server((HOST, 0), backlog=256)
        self.port = int(self._listener.getsockname()[1])
        self._pipes: list[tuple[int, int]] = []
        self._due: list[tuple[float, int, _Way]] = []
        self._order = itertools.count()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(10)
        for key in list(self._selector.get_map().values()):
            if isinstance(key.data, _Way):
                self._hang_up(key.data)
        self._listener.close()
        self._selector.close()
        for pipe in self._pipes:
            _close(pipe)

    def _run(self) -> None:
        while not self._stopping.is_set():
            wait = self._due[0][0] - time.monotonic() if self._due else 0.05
            for key, _ in self._selector.select(min(0.05, max(0.0, wait))):
                if key.fileobj is self._listener:
                    self._accept()
                else:
                    self._take(key.data)
            while self._due and self._due[0][0] <= time.monotonic():
                self._give(heapq.heappop(self._due)[2])

    def _accept(self) -> None:
        near, _ = self._listener.accept()
        try:
            far = socket.create_connection((HOST, self._upstream), timeout=10)
        except OSError:
            near.close()
            return
        there, back = _Way(source=near, target=far), _Way(source=far, target=near)
        there.back, back.back = back, there
        for way in (there, back):
            way.source.setblocking(False)
            way.source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(way.source, selectors.EVENT_READ, way)

    def _take(self, way: _Way) -> None:
        """Let what has arrived set out."""
        pipe = self._pipes.pop() if self._pipes else _open_pipe()
        try:
            size = os.splice(way.source.fileno(), pipe[1], _PIPE_BYTES, flags=_FLAGS)
        except BlockingIOError:
            self._pipes.append(pipe)
            return
        except OSError:  # the other side broke off
            self._pipes.append(pipe)
            self._hang_up(way)
            return
        due = time.monotonic() + self._seconds
        if size == 0:
            self._pipes.append(pipe)
            self._selector.unregister(way.source)
            way.ended = True
        way.parcels.append(_Parcel(due=due, pipe=pipe if size else None, size=size))
        heapq.heappush(self._due, (due, next(self._order), way))

    def _give(self, way: _Way) -> None:
        """Hand over what has arrived at the far end, as far as that takes it."""
        while way.parcels and way.parcels[0].due <= time.monotonic():
            parcel = way.parcels[0]
            if parcel.pipe is None:
                way.parcels.popleft()
                self._end(way)
                return
            try:
                parcel.size -= os.splice(
                    parcel.pipe[0], way.target.fileno(), parcel.size, flags=_FLAGS
                )
            except BlockingIOError:  # it takes no more for now
                again = time.monotonic() + _AGAIN
                heapq.heappush(self._due, (again, next(self._order), way))
                return
            except OSError:
                self._hang_up(way)
                return
            if parcel.size == 0:
                self._pipes.append(parcel.pipe)
                way.parcels.popleft()

    def _end(self, way: _Way) -> None:
        """Tell the target that nothing more comes; close what has ended on both sides."""
        if way.back is not None and way.back.ended and not way.back.parcels:
            self._hang_up(way)
            return
        with contextlib.suppress(OSError):
            way.target.shutdown(socket.SHUT_WR)

    def _hang_up(self, way: _Way) -> None:
        for each in (way, way.back):
            if each is None:
                continue
            for parcel in each.parcels:
                if parcel.pipe is not None:
                    _close(parcel.pipe)
            each.parcels.clear()
            each.ended = True
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(each.source)
            each.source.close()


def _open_pipe() -> tuple[int, int]:
    pipe = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    with contextlib.suppress(PermissionError):  # more than a user may have: it stays smaller
        fcntl.fcntl(pipe[1], fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return pipe


def _close(pipe: tuple[int, int]) -> None:
    for end in pipe:
        os.close(end)
