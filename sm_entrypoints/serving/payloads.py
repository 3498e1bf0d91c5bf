"""Bodies of requests and answers for handlers that a user's module leaves out: JSON, CSV, NPY.

Where the decoder and the encoder of SageMaker's toolkit (``sagemaker_inference`` 1.10.1) succeed,
these give the same result, with one exception: NPY without pickled objects. The toolkit allows
those, and so lets anyone who can call an endpoint run code in it. Where the toolkit answers 500,
these say whether the request or the model is at fault.
"""

from __future__ import annotations

import io
import json
import warnings
from typing import Any

import numpy as np

from sm_entrypoints.contract.sentences import ended
from sm_entrypoints.serving.accept import accepted, media_type

JSON_TYPE = "application/json"
CSV_TYPE = "text/csv"
NPY_TYPE = "application/x-npy"
# The only types whose body SageMaker's toolkit hands to handlers as text.
TEXT_TYPES = (JSON_TYPE, CSV_TYPE)
_WRITTEN = (JSON_TYPE, CSV_TYPE, NPY_TYPE)


class PayloadError(Exception):
    """Raised when a body cannot be read or written; ``status_code`` is the HTTP status."""

    def __init__(self, status_code: int, message: str) -> None:
        super().__init__(message)
        self.status_code = status_code


def unsupported(status_code: int, content_type: str | None) -> PayloadError:
    """Return the refusal of a content type (415) or an Accept (406), in the toolkit's words."""
    return PayloadError(
        status_code,
        f"Content type {content_type} is not supported by this framework. Please implement "
        "input_fn to deserialize the request data or an output_fn to serialize the response. "
        f"Without them {', '.join(_WRITTEN)} are read and written.",
    )


def read_array(body: bytes | str, content_type: str | None) -> np.ndarray[Any, Any]:
    """Return a JSON, CSV or NPY body as an array, of the type that its values have.

    Raises:
        PayloadError: 415 another type, 400 a body that is not what its type says.
    """
    kind = media_type(content_type)
    raw = body.encode() if isinstance(body, str) else bytes(body)
    if kind not in _WRITTEN:
        raise unsupported(415, content_type)
    try:
        if kind == JSON_TYPE:
            return np.array(json.loads(raw))
        if kind == CSV_TYPE:
            return _read_csv(raw.decode())
        array: np.ndarray[Any, Any] = np.load(io.BytesIO(raw), allow_pickle=False)
        return array
    except (ValueError, TypeError, EOFError, OSError, RecursionError) as error:
        raise PayloadError(400, f"The body is not {kind}: {_sentence(error)}") from error


def _read_csv(text: str) -> np.ndarray[Any, Any]:
    with warnings.catch_warnings():
        # An empty body is told as what it is, in an answer.
        warnings.simplefilter("ignore", UserWarning)
        array: np.ndarray[Any, Any] = np.genfromtxt(io.StringIO(text), dtype=None, delimiter=",")
    return array


def write_answer(prediction: Any, accept: str | None) -> tuple[bytes | str, str]:
    """Return a prediction as the most welcome type that can hold it, and that type.

    Args:
        prediction: numbers, arrays, tensors, strings, and lists and dicts of them.
        accept: an Accept header; JSON where it says nothing.

    Raises:
        PayloadError: 406, none of JSON, CSV and NPY is accepted, or none of those that are can
            hold this prediction.
    """
    problem: PayloadError | None = None
    for choice in accepted(accept) or [JSON_TYPE]:
        kind = _WILD.get(choice, choice)
        if kind not in _WRITTEN:
            continue
        if kind == JSON_TYPE:  # What JSON cannot hold is the handler's mistake.
            return to_json(prediction), kind
        try:
            return _write(prediction, kind), kind
        except (ValueError, TypeError) as error:
            name = type(prediction).__name__
            problem = problem or PayloadError(
                406, f"A prediction of type {name} cannot be written as {kind}: {_sentence(error)}"
            )
    raise problem or unsupported(406, accept)


_WILD = {"*/*": JSON_TYPE, "application/*": JSON_TYPE, "text/*": CSV_TYPE}


def _write(prediction: Any, kind: str) -> bytes | str:
    if kind == CSV_TYPE:
        text = io.StringIO()
        np.savetxt(text, prediction, delimiter=",", fmt="%s")
        return text.getvalue()
    buffer = io.BytesIO()
    np.save(buffer, prediction, allow_pickle=False)
    return buffer.getvalue()


def to_json(value: Any, *, indent: int | None = None) -> str:
    """Return JSON; arrays, tensors and NumPy's numbers are written by their ``tolist``.

    Raises:
        TypeError: something in it is none of these.
    """

    def plain(part: Any) -> Any:
        if hasattr(part, "tolist"):
            return part.tolist()
        raise TypeError(f"Object of type {type(part).__name__} is not JSON serializable")

    return json.dumps(value, default=plain, indent=indent)


def _sentence(error: BaseException) -> str:
    return ended(" ".join(str(error).split()))
