"""Every page of SageMaker's ``list_…`` operations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NotRequired, Protocol, TypedDict, TypeVar

_PAGE = 100


class Paging(TypedDict):
    """The members of a ``list_…`` request that say which page is asked for."""

    MaxResults: int
    NextToken: NotRequired[str]


class _Page(Protocol):
    def get(self, key: str, /) -> object: ...


P = TypeVar("P", bound=_Page)


def pages(ask: Callable[[Paging], P]) -> Iterator[P]:
    """Yield every page of a ``list_…`` operation, which ``ask`` sends with the paging it is given.

    Example:
        >>> from tasks.requests.pages import pages
        >>> answers = pages(lambda paging: sagemaker.list_training_jobs(**paging))
        >>> [job["TrainingJobName"] for page in answers for job in page["TrainingJobSummaries"]]
        []
    """
    paging: Paging = {"MaxResults": _PAGE}
    while True:
        page = ask(paging)
        yield page
        token = page.get("NextToken")
        if not token:
            return
        paging = {"MaxResults": _PAGE, "NextToken": str(token)}
