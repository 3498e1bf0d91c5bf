"""Arrays in and out as JSON, CSV and NPY; never pickles."""

from __future__ import annotations

import io
import json
import pickle

import numpy as np
import pytest

from sm_entrypoints.serving.accept import accepted, media_type
from sm_entrypoints.serving.payloads import PayloadError, read_array, to_json, write_answer


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
        ("1,2\n3\n", "text/csv", 400),
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
    assert write_answer(values, None) == ("[[1.5, 2.0], [3.0, 4.0]]", "application/json")
    assert write_answer(values, "text/csv") == ("1.5,2.0\n3.0,4.0\n", "text/csv")
    assert write_answer([1, 2], "text/csv")[0] == "1\n2\n"
    body, content_type = write_answer(values, "image/png, application/x-npy;q=0.5, */*;q=0.1")
    assert content_type == "application/x-npy"
    assert isinstance(body, bytes)
    assert np.load(io.BytesIO(body)).tolist() == values.tolist()
    assert json.loads(write_answer(values, "text/html, */*")[0]) == values.tolist()
    with pytest.raises(
        PayloadError, match="image/png is not supported by this framework"
    ) as raised:
        write_answer(values, "image/png")
    assert raised.value.status_code == 406


def test_what_a_type_cannot_hold_is_the_next_one_or_refused() -> None:
    answer = {"label": "cat", "scores": np.array([0.25, 0.75])}
    assert write_answer(answer, "text/csv;q=0.9, application/json;q=0.1") == (
        '{"label": "cat", "scores": [0.25, 0.75]}',
        "application/json",
    )
    for accept in ("text/csv", "application/x-npy"):
        with pytest.raises(PayloadError, match="type dict cannot be written as") as raised:
            write_answer(answer, accept)
        assert raised.value.status_code == 406


def test_json_of_arrays_and_numbers() -> None:
    values = {"a": [np.float32(0.5), np.array([1, 2])], "b": (np.bool_(True), np.int64(3))}
    assert json.loads(to_json(values)) == {"a": [0.5, [1, 2]], "b": [True, 3]}
    with pytest.raises(TypeError, match="set is not JSON"):
        to_json([{1}])


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (None, []),
        ("text/csv", ["text/csv"]),
        ("Text/CSV; charset=utf-8", ["text/csv"]),
        ("a/b;q=0.1, c/d;q=0.9, e/f", ["e/f", "c/d", "a/b"]),
        ("a/b;q=0, c/d", ["c/d"]),
        ("*/*, text/csv", ["text/csv", "*/*"]),
        ("application/json;q=1.0, text/csv", ["text/csv", "application/json"]),
        ("a/b;q=oops, ,", ["a/b"]),
        ("a/b ; Q = 0.5 , c/d;q=0.6", ["c/d", "a/b"]),
    ],
)
def test_accept_headers(accept: str | None, wanted: list[str]) -> None:
    assert accepted(accept) == wanted


def test_media_types() -> None:
    assert media_type(" Text/CSV ; charset=utf-8") == "text/csv"
    assert media_type(None) == ""
