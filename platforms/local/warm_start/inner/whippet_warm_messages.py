"""Messages of warm starts: JSON of known length, and with it open files."""

from __future__ import annotations

import json
import os
import socket
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

# Where the copy listens, in its folder.
SOCKET = "socket"
# By it a supervisor finds the child that it was started with: DESCRIPTOR:PID.
CHILD_VARIABLE = "WHIPPET_WARM_CHILD"
# What a client says to have its supervisor started.
GO = b"go"
_LENGTH = struct.Struct("!I")
_MOST_BYTES = 16 * 1024 * 1024
_MOST_DESCRIPTORS = 4


class Ended(OSError):
    """Raised when the other side has gone before a message was complete."""


def send(channel: socket.socket, message: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
    """Send a message, and with it open files.

    Raises:
        OSError: the other side has gone, or does not read in time.
    """
    data = json.dumps(message).encode()
    socket.send_fds(channel, [_LENGTH.pack(len(data))], list(descriptors))
    channel.sendall(data)


def receive(channel: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Receive a message and the open files that came with it; they are not inherited.

    Raises:
        OSError: the other side has gone, or does not write in time.
        ValueError: it is no message.
    """
    head, descriptors, _, _ = socket.recv_fds(channel, _LENGTH.size, _MOST_DESCRIPTORS)
    for each in descriptors:
        os.set_inheritable(each, False)
    if len(head) < _LENGTH.size:
        head += _exactly(channel, _LENGTH.size - len(head))
    (size,) = _LENGTH.unpack(head)
    if size > _MOST_BYTES:
        raise ValueError(f"a message of {size} bytes")
    message = json.loads(_exactly(channel, size))
    if not isinstance(message, dict):
        raise ValueError("a message that is no object")
    return message, list(descriptors)


def _exactly(channel: socket.socket, size: int) -> bytes:
    parts, missing = [], size
    while missing:
        part = channel.recv(missing)
        if not part:
            raise Ended("the other side of a warm start has gone")
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)
