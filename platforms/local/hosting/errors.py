"""SageMaker's errors for missing or existing models, endpoint configurations and endpoints.

The messages are SageMaker's own, as users report them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from platforms.client_errors import client_error
from platforms.local.context import LocalContext
from platforms.local.records import Exists, Missing

HostingKind = Literal["models", "endpoint-configs", "endpoints"]
# The resource in an ARN, and the words of the messages.
_NOUNS: dict[HostingKind, tuple[str, str]] = {
    "models": ("model", "model"),
    "endpoint-configs": ("endpoint-config", "endpoint configuration"),
    "endpoints": ("endpoint", "endpoint"),
}


@contextmanager
def as_client_error(
    context: LocalContext, operation: str, kind: HostingKind, name: str
) -> Iterator[None]:
    """Raise SageMaker's error where the block finds that a record is missing or exists already.

    Raises:
        ClientError: ``ValidationException`` of ``operation``, with the resource's ARN.
    """
    resource, words = _NOUNS[kind]
    arn = context.arn(resource, name)
    try:
        yield
    except Missing as error:
        message = f'Could not find {words} "{arn}".'
        raise client_error(operation, "ValidationException", message) from error
    except Exists as error:
        message = f'Cannot create already existing {words} "{arn}".'
        raise client_error(operation, "ValidationException", message) from error
