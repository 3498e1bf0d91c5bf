"""A disk quota per kind of record, and line files that respect it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sm_entrypoints.instrumentation.line_writer import LineWriter

# Once half of a kind's bytes are used, what follows is thinned by this, to see the end as well.
THINNING = 16


class Quota:
    """Bytes that one kind of record may take; what does not fit is counted, never written."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self.dropped = 0
        self._last = 0

    @property
    def thinning(self) -> int:
        """Return 1 while half of the bytes are free, then ``THINNING``."""
        return 1 if self.used < self.limit / 2 else THINNING

    def take(self, size: int) -> bool:
        """Reserve ``size`` bytes; False, and one drop counted, when they are not there."""
        if self.used + size > self.limit:
            self.dropped += 1
            return False
        self.used += size
        return True

    def take_at(self, step: int, size: int) -> bool:
        """Reserve bytes for one of a step's tensors; once half is used, at doubling steps only.

        So the tensors of a long training are from all of it, not from its beginning.
        """
        late = self.used >= self.limit / 2
        if late and self._last < step < 2 * self._last:
            self.dropped += 1
            return False
        if not self.take(size):
            return False
        self._last = step
        return True

    def write(self, writer: LineWriter, record: Mapping[str, Any]) -> bool:
        """Write ``record`` as a line of JSON; False when the quota does not allow it."""
        line = json.dumps(record, separators=(",", ":"))
        if not self.take(len(line) + 1):
            return False
        writer.write(line)
        return True
