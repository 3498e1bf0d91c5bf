"""Whether one client asks alone, and is answered so soon that its calls need no thread.

Handing a request to another thread, and its answer back, takes a third of a millisecond, and gains
nothing where nobody else asks. While a call runs in the server's own thread, ``/ping`` and new
clients wait until it ends. So it has to be short, which the calls before it tell only of handlers
that do nothing but compute.
"""

from __future__ import annotations

# This many good answers to the same client, with none in between that took longer than that.
CALLS, SECONDS = 8, 0.05
Client = tuple[str, int] | None


class LoneClient:
    """Knows who asks, and how soon the last calls were answered. For one thread."""

    def __init__(self) -> None:
        self._client: Client = None
        self._quick = 0

    def asks(self, client: Client) -> None:
        """Take note of a request; ``client`` is the address and port that it comes from."""
        if client != self._client:
            self._client, self._quick = client, 0

    def answered(self, client: Client, seconds: float, *, good: bool) -> None:
        """Take note of how long a request took.

        A quick refusal tells nothing of the next good answer, nor does a late answer to a client
        that asked before.
        """
        if client == self._client:
            self._quick = self._quick + good if seconds < SECONDS else 0

    @property
    def is_quick(self) -> bool:
        """Whether who asked last asks alone, and its next call will be short."""
        return self._client is not None and self._quick >= CALLS
