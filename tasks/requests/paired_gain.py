"""What one model gains over another on the same pictures, and how sure that is."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pandas as pd

from platforms import Platform
from platforms.errors import WhippetError
from sm_entrypoints import contract
from tasks.runs.output import unpack_output
from tasks.runs.record_parts import Difference, Gain

_LEAST_PICTURES = 2


def validation_of(platform: Platform, output_uri: str) -> pd.DataFrame | None:
    """Return how a job's model did on each validation picture; None where the job does not tell.

    Indexed by the picture's path, with the columns ``loss`` and ``correct``.
    """
    with tempfile.TemporaryDirectory(prefix="whippet-validation-") as folder:
        try:
            unpack_output(platform, output_uri, Path(folder), name="output")
        except (WhippetError, ValueError, OSError):
            return None
        return read_validation(Path(folder) / "output")


def read_validation(output: Path) -> pd.DataFrame | None:
    """Return what :func:`validation_of` returns, from an output that is unpacked."""
    try:
        frame = pd.read_csv(output / contract.VALID_PREDICTIONS_FILE, dtype={"path": "string"})
        return frame.set_index("path")[["loss", "correct"]].astype("float64")
    except (OSError, ValueError, KeyError):
        return None


def paired_gain(before: pd.DataFrame | None, after: pd.DataFrame | None) -> Gain | None:
    """Return what changes from one model to another; None unless both saw the same pictures.

    Paired: only what changes on a picture counts, not how much harder it is than others.
    """
    if before is None or after is None or not before.index.is_unique or not after.index.is_unique:
        return None
    if len(before) < _LEAST_PICTURES or set(before.index) != set(after.index):
        return None
    changes = after.loc[before.index] - before
    means, errors = changes.mean(), changes.sem()
    loss, accuracy = (
        Difference(change=float(means[name]), error=float(errors[name]))
        for name in ("loss", "correct")
    )
    return Gain(pictures=len(before), loss=loss, accuracy=accuracy)
