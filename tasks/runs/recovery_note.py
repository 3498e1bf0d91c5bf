"""Which recovery is at work in this home: one that was killed is still noted when the next begins.

For who holds the lock of recoveries.
"""

from __future__ import annotations

from platforms import Settings
from sm_entrypoints.contract.files import write_text

_FILE = ".recovery.run"


def note_recovery(settings: Settings, flow_run_id: str) -> str | None:
    """Note that a flow run recovers; return the one before it, if that was killed at it."""
    file = settings.home / _FILE
    before = file.read_text("ascii", errors="replace").strip() if file.exists() else ""
    write_text(file, flow_run_id)
    return before if before not in ("", flow_run_id) else None


def forget_recovery(settings: Settings) -> None:
    """Note that none is at work; before the lock is given back."""
    (settings.home / _FILE).unlink(missing_ok=True)
