"""A progress bar in the Prefect UI: one artifact, updated only on a visible change."""

from __future__ import annotations

from types import TracebackType
from typing import Self, cast
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact

_SMALLEST_MOVE = 2.0


class Progress:
    """A progress artifact under a stable key; use it as a context manager.

    On the way out it shows 100%, unless the work failed or :meth:`stay` was called: then it stays
    where it was.
    """

    def __init__(self, key: str, description: str | None = None) -> None:
        # Synchronous here: Prefect's type also covers calls from an event loop.
        self._artifact = cast(UUID, create_progress_artifact(0.0, key, description))
        self._shown, self._stays = 0.0, False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        if kind is None and not self._stays:
            self.show(100.0)

    def stay(self) -> None:
        """Stay where it is on the way out: the work ended, but not at its end."""
        self._stays = True

    def of(self, done: int, total: int) -> None:
        """Show ``done`` of ``total``."""
        self.show(100.0 * done / total if total else 100.0)

    def show(self, percent: float) -> None:
        """Show ``percent`` (0 to 100) when it differs visibly from what is shown."""
        percent = min(100.0, max(0.0, percent))
        if percent - self._shown >= _SMALLEST_MOVE or (percent == 100.0 and self._shown < 100.0):
            update_progress_artifact(self._artifact, percent)
            self._shown = percent
