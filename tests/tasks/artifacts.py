"""Read back what tasks published."""

from __future__ import annotations

from typing import Any

import httpx
from prefect.settings import PREFECT_API_URL


def artifacts(key: str) -> list[Any]:
    """Return the data of all artifacts of a key on the tests' server, newest first."""
    answer = httpx.post(
        f"{PREFECT_API_URL.value()}/artifacts/filter",
        json={"artifacts": {"key": {"any_": [key]}}, "sort": "CREATED_DESC"},
    )
    answer.raise_for_status()
    return [found["data"] for found in answer.json()]
