"""Frames as CSV that people open in spreadsheets."""

from __future__ import annotations

import pandas as pd

from sm_entrypoints.contract.strangers.tables import table


def as_csv(frame: pd.DataFrame) -> bytes:
    """Return a frame as CSV without its index; text that a spreadsheet would compute stays text.

    :func:`sm_entrypoints.contract.strangers.tables.read_table` gives it back as it was.
    """
    plain = frame.astype("object").where(frame.notna(), None)
    text = table([str(name) for name in frame.columns], plain.itertuples(index=False, name=None))
    return text.encode(errors="surrogateescape")
