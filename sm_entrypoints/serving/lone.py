"""Whether one client asks alone, and is answered so soon that its calls need no thread.

To hand a request to another thread and the answer back takes a quarter of a millisecond, which is
for nothing where nobody else asks. While a call runs in the server's own thread, ``/ping`` and new
clients wait for its end; so it has to be short, and only calls of handlers that do nothing but
compute are judged by those before them.
"""

from __future__ import annotations

# So many calls in a row of the same client, each answered in so short a time.
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

    def answered(self, client: Client, seconds: float) -> None:
        """Take note of how long a request took; late answers to those of before do not count."""
        if client == self._client:
            self._quick = self._quick + 1 if seconds < SECONDS else 0

    @property
    def is_quick(self) -> bool:
        """Whether who asked last asks alone, and its next call will be short."""
        return self._client is not None and self._quick >= CALLS
