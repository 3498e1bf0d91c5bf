"""Every page of SageMaker's ``list_…`` operations."""

from __future__ import annotations

from typing import Any

_PAGE = 100


def list_all(operation: Any, member: str, **request: Any) -> list[Any]:
    """Return the summaries of every page of a ``list_…`` operation."""
    summaries: list[Any] = []
    token: dict[str, str] = {}
    while True:
        page = operation(MaxResults=_PAGE, **request, **token)
        summaries += page[member]
        if not page.get("NextToken"):
            return summaries
        token = {"NextToken": page["NextToken"]}
