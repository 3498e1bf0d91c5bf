"""The seam between the records and the rules that watch them while the training runs."""

from __future__ import annotations

from typing import Protocol

from sm_entrypoints.contract.tensor_records import TensorRecord
from sm_entrypoints.job.containment import Containment
from sm_entrypoints.rules.result import Mark


class Watch(Protocol):
    """What :class:`Watching` asks of the rules (``rules.online.RuleWatch`` is one)."""

    @property
    def stopped_by(self) -> Mark | None:
        """Where a rule asked for a stop; None while none did."""

    def observe(self, record: TensorRecord) -> None:
        """Look at one record; they come in the order of time, losses of every step included."""


class Watching:
    """A watch, or none, whose errors stay here: they end the watching, nothing else.

    ``failure`` is None, or what went wrong in the watch.
    """

    def __init__(self, watch: Watch | None = None) -> None:
        self._watch = watch
        self._containment = Containment("rules", on_failure=self._forget)
        self._stopped_by: Mark | None = None

    @property
    def failure(self) -> str | None:
        """What ended the watching, if something did."""
        return self._containment.failure

    @property
    def stopped_by(self) -> Mark | None:
        """Where a rule asked for a stop; stays so, even if the watch fails later."""
        return self._stopped_by

    def observe(self, record: TensorRecord) -> None:
        """Pass a record on to the watch, if there is one and it has not failed."""
        if self._watch is not None:
            self._containment.run(self._observe, self._watch, record)

    def _observe(self, watch: Watch, record: TensorRecord) -> None:
        watch.observe(record)
        if self._stopped_by is None:
            self._stopped_by = watch.stopped_by

    def _forget(self) -> None:
        self._watch = None
