"""Bodies of requests and answers for handlers that a user's module leaves out: JSON, CSV, NPY.

NPY without pickled objects: SageMaker's own toolkit allows those, and so lets whoever can call an
endpoint run code in it.
"""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import numpy as np

JSON_TYPE = "application/json"
CSV_TYPE = "text/csv"
NPY_TYPE = "application/x-npy"
# The only types whose body SageMaker's toolkit hands to handlers as text.
TEXT_TYPES = (JSON_TYPE, CSV_TYPE)


class PayloadError(Exception):
    """Raised when a body cannot be read or written; ``status_code`` is the HTTP status."""

    def __init__(self, status_code: int, message: str) -> None:
        super().__init__(message)
        self.status_code = status_code


def media_type(content_type: str | None) -> str:
    """Return a content type without parameters, in lower case; empty when there is none."""
    return (content_type or "").split(";")[0].strip().lower()


def read_array(body: bytes | str, content_type: str | None) -> np.ndarray[Any, Any]:
    """Return the numbers of a JSON, CSV or NPY body.

    Raises:
        PayloadError: 415 another type, 400 a body that is not what its type says.
    """
    kind = media_type(content_type)
    raw = body.encode() if isinstance(body, str) else bytes(body)
    try:
        if kind == JSON_TYPE:
            return np.asarray(json.loads(raw), dtype=np.float32)
        if kind == CSV_TYPE:
            rows = [row for row in csv.reader(io.StringIO(raw.decode())) if row]
            return np.asarray(rows, dtype=np.float32)
        if kind == NPY_TYPE:
            array: np.ndarray[Any, Any] = np.load(io.BytesIO(raw), allow_pickle=False)
            return array
    except (ValueError, TypeError, EOFError, OSError, csv.Error) as error:
        raise PayloadError(400, f"The body is not {kind}: {error}.") from error
    raise PayloadError(
        415,
        f"Content-Type {content_type!r} needs an input_fn in the model's program; without one "
        f"{JSON_TYPE}, {CSV_TYPE} and {NPY_TYPE} are read.",
    )


def write_array(values: Any, accept: str | None) -> tuple[bytes | str, str]:
    """Return numbers as the first of ``accept`` that we can write, and its content type.

    Args:
        values: anything that NumPy takes as an array; tensors must be on the CPU.
        accept: an Accept header.

    Raises:
        PayloadError: 406, none of JSON, CSV and NPY is accepted.
    """
    array = np.asarray(values)
    for choice in (accept or JSON_TYPE).split(","):
        kind = media_type(choice)
        if kind in (JSON_TYPE, "application/*", "*/*", ""):
            return json.dumps(array.tolist()), JSON_TYPE
        if kind in (CSV_TYPE, "text/*"):
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows(np.atleast_2d(array).tolist())
            return text.getvalue(), CSV_TYPE
        if kind == NPY_TYPE:
            buffer = io.BytesIO()
            np.save(buffer, array, allow_pickle=False)
            return buffer.getvalue(), NPY_TYPE
    raise PayloadError(406, f"Accept {accept!r} needs an output_fn in the model's program.")
