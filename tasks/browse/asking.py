"""The endpoints that a visitor may ask: those that Whippet made and that are in service."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from botocore.exceptions import BotoCoreError, ClientError

from platforms import Platform
from platforms.errors import DataError, EndpointFailed
from sm_entrypoints.contract.sentences import clause
from sm_entrypoints.images.files import kind_of
from tasks.endpoints.fitting import fitted
from tasks.endpoints.inventory import list_endpoints
from tasks.endpoints.predictions import ask, content_type_of

# Of a larger picture an endpoint gets one that is scaled down.
_ENDPOINT_BYTES = 4 * 1024 * 1024
_IN_SERVICE = "InService"


class EndpointsInService:
    """Endpoints, behind a platform that is not connected to before somebody asks.

    Example:
        >>> endpoints = EndpointsInService(platforms.connect)
        >>> endpoints.ask("whippet-demo-1a2b3c", picture)[0]
        ('camel', 0.91)
    """

    def __init__(self, connect: Callable[[], Platform]) -> None:
        self._connect = connect

    @cached_property
    def _platform(self) -> Platform:
        return self._connect()

    def names(self) -> list[str]:
        """Return the names of the endpoints in service, the newest first.

        Raises:
            EndpointFailed: they cannot be listed.
            WhippetError: there is no platform.
        """
        try:
            found = list_endpoints(self._platform)
        except (ClientError, BotoCoreError) as error:
            raise EndpointFailed(f"endpoints cannot be listed: {clause(error)}") from error
        return [each.name for each in found if each.status == _IN_SERVICE]

    def ask(self, name: str, picture: bytes) -> list[tuple[str, float]]:
        """Return the labels that an endpoint gives a picture, with their probabilities.

        Raises:
            DataError: it is not a picture, or cannot be made small enough to be sent.
            EndpointFailed: the endpoint is not one of ours in service, or refused it.
        """
        if not picture:
            raise DataError("the file is empty")
        if kind_of(picture[:64]) not in ("JPEG", "PNG"):
            kind = kind_of(picture[:64])
            raise DataError(f"the file is not a JPEG or PNG{f' but {kind}' if kind else ''}")
        if name not in self.names():
            raise EndpointFailed(f"endpoint {name!r} is no longer in service")
        sent = picture if len(picture) <= _ENDPOINT_BYTES else fitted(picture, _ENDPOINT_BYTES)
        try:
            answers = ask(self._platform, name, sent, content_type_of(sent))
        except (ClientError, BotoCoreError) as error:
            raise EndpointFailed(f"endpoint {name!r} did not answer: {clause(error)}") from error
        return [(each.label, each.probability) for each in answers]
