"""What the last state of a run says: how it came out, in one sentence."""

from __future__ import annotations

from datetime import datetime

from sm_entrypoints.contract.sentences import counted
from tasks.runs.record_model import RunRecord
from tasks.runs.record_parts import BestTrial, Evaluation


def released(record: RunRecord) -> str:
    """Return such as ``73.5% on 117 pictures, endpoint up until 14:45``."""
    parts = [accuracy_of(record.evaluation)] if record.evaluation else []
    if record.endpoint is not None:
        parts.append(f"endpoint {until(record.endpoint.expires)}")
    return ", ".join(parts) or "done"


def accuracy_of(found: Evaluation) -> str:
    """Return the test accuracy, such as ``73.5% on 117 pictures``."""
    if found.accuracy is None or not found.samples:
        return "not tested: there are no test pictures"
    return f"{100 * found.accuracy:.1f}% on {counted(found.samples, 'picture')}"


def until(expires: str) -> str:
    """Return when an endpoint ends, in UTC, with the date when that is not today's."""
    try:
        moment = datetime.fromisoformat(expires)
    except ValueError:  # "never"
        return "up"
    today = datetime.now(moment.tzinfo).date()
    shown = f"{moment:%H:%M}" if moment.date() == today else f"{moment:%Y-%m-%d %H:%M}"
    return f"up until {shown} UTC"


def searched(best: BestTrial, trials: int) -> str:
    """Return such as ``best of 64 trials: validation loss 0.6123``."""
    return f"best of {counted(trials, 'trial')}: validation loss {best.objective:.4f}"


def cleaned(names: list[str], *, dry_run: bool) -> str:
    """Return how many things were removed, or would be."""
    if not names:
        return "nothing to remove"
    return f"{'would remove' if dry_run else 'removed'} {counted(len(names), 'thing')}"
