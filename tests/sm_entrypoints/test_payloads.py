"""Arrays in and out as JSON, CSV and NPY; never pickles."""

from __future__ import annotations

import io
import json
import pickle

import numpy as np
import pytest

from sm_entrypoints.payloads import PayloadError, media_type, read_array, write_array


def _npy(array: np.ndarray, *, allow_pickle: bool = False) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=allow_pickle)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("[[1, 2], [3, 4]]", "application/json"),
        (b"[[1, 2], [3, 4]]", "Application/JSON; charset=utf-8"),
        ("1,2\n3,4\n", "text/csv"),
        (_npy(np.array([[1, 2], [3, 4]])), "application/x-npy"),
    ],
)
def test_bodies_are_read(body: bytes | str, content_type: str) -> None:
    assert read_array(body, content_type).tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        ("[1, 2", "application/json", 400),
        ('{"a": 1}', "application/json", 400),
        ("1,2\n3\n", "text/csv", 400),
        ("a,b", "text/csv", 400),
        (b"", "application/x-npy", 400),
        (_npy(np.array([{"a": 1}], dtype=object), allow_pickle=True), "application/x-npy", 400),
        (pickle.dumps([1]), "application/x-npy", 400),
        (b"x", "image/jpeg", 415),
        (b"x", None, 415),
    ],
)
def test_other_bodies_are_refused(body: bytes | str, content_type: str | None, status: int) -> None:
    with pytest.raises(PayloadError) as raised:
        read_array(body, content_type)
    assert raised.value.status_code == status
    assert str(raised.value).endswith(".")


def test_answers_are_written() -> None:
    values = np.array([[1.5, 2], [3, 4]])
    assert write_array(values, None) == ("[[1.5, 2.0], [3.0, 4.0]]", "application/json")
    assert write_array(values, "text/csv") == ("1.5,2.0\n3.0,4.0\n", "text/csv")
    assert write_array([1, 2], "text/csv")[0] == "1,2\n"
    body, content_type = write_array(values, "image/png, application/x-npy;q=0.5, */*")
    assert content_type == "application/x-npy"
    assert isinstance(body, bytes)
    assert np.load(io.BytesIO(body)).tolist() == values.tolist()
    assert json.loads(write_array(values, "text/html, */*")[0]) == values.tolist()
    with pytest.raises(PayloadError) as raised:
        write_array(values, "image/png")
    assert raised.value.status_code == 406


def test_media_types() -> None:
    assert media_type(" Text/CSV ; charset=utf-8") == "text/csv"
    assert media_type(None) == ""
