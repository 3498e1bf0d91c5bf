"""The ``context`` of a handler, with the names of SageMaker's toolkit and its model servers.

A handler reads the request's headers from it, and may set headers and the status of the answer. As
with the toolkit, the content type of an answer is what the handler returns, or else the Accept
header: ``set_response_content_type`` has no effect.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

CONTENT_TYPE = "content-type"


class Headers(dict[str, str]):
    """Headers by name, whatever the case of the name that is asked for."""

    def __init__(self, headers: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> None:
        super().__init__({name.title(): value for name, value in dict(headers).items()})

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.title())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.title())

    def get(self, name: str, default: Any = None) -> Any:
        """Return a header, or ``default``."""
        return super().get(name.title(), default)


class RequestProcessor:
    """One request's headers, and the headers and status of its answer."""

    def __init__(self, headers: Mapping[str, str] | None = None) -> None:
        self._request = Headers(headers or {})
        self._answer: dict[str, str] = {}
        self._status: tuple[int, str | None] = (200, None)

    def get_request_property(self, key: str) -> str | None:
        """Return a header of the request."""
        value: str | None = self._request.get(key)
        return value

    def get_request_properties(self) -> dict[str, str]:
        """Return the request's headers."""
        return self._request

    def report_status(self, code: int, reason_phrase: str | None = None) -> None:
        """Set the answer's status."""
        self._status = (code, reason_phrase)

    def get_response_status_code(self) -> int:
        """Return the answer's status."""
        return self._status[0]

    def get_response_status_phrase(self) -> str | None:
        """Return the phrase of the answer's status."""
        return self._status[1]

    def add_response_property(self, key: str, value: str) -> None:
        """Set a header of the answer."""
        self._answer[key] = value

    def get_response_header(self, key: str) -> str | None:
        """Return a header of the answer."""
        return self._answer.get(key)

    def get_response_headers(self) -> dict[str, str]:
        """Return the headers of the answer that were set so far."""
        return self._answer


class Context:
    """What a handler that takes ``context`` may read and set; ``idx`` is always 0.

    Attributes:
        system_properties: ``model_dir``, ``gpu_id``, ``batch_size``, ``server_name``.
        manifest: of the model archive; SageMaker's archives have none.
        request_processor: a list with the request's, or None while the model is loaded.
    """

    def __init__(
        self,
        *,
        system_properties: Mapping[str, Any] | None = None,
        manifest: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.system_properties = dict(system_properties or {})
        self.manifest = dict(manifest or {})
        self.model_name = "model"
        self.request_processor = None if headers is None else [RequestProcessor(headers)]
        self.request_ids = None if headers is None else {0: str(uuid.uuid4())}

    def of_request(self, headers: Mapping[str, str]) -> Context:
        """Return a context of the same model for one request."""
        return Context(
            system_properties=self.system_properties, manifest=self.manifest, headers=headers
        )

    def get_request_id(self, idx: int = 0) -> str | None:
        """Return an id of the request."""
        return None if self.request_ids is None else self.request_ids.get(idx)

    def get_request_header(self, idx: int, key: str) -> str | None:
        """Return a header of the request."""
        return self._processor(idx).get_request_property(key)

    def get_all_request_header(self, idx: int) -> dict[str, str]:
        """Return the request's headers."""
        return self._processor(idx).get_request_properties()

    def get_response_headers(self, idx: int) -> dict[str, str]:
        """Return the headers of the answer that were set so far."""
        return self._processor(idx).get_response_headers()

    def set_response_header(self, idx: int, key: str, value: str) -> None:
        """Set a header of the answer."""
        self._processor(idx).add_response_property(key, value)

    def get_response_content_type(self, idx: int) -> str | None:
        """Return what ``set_response_content_type`` was given."""
        return self._processor(idx).get_response_header(CONTENT_TYPE)

    def set_response_content_type(self, idx: int, value: str) -> None:
        """Do what the toolkit does: it is overwritten when the handler returns."""
        self._processor(idx).add_response_property(CONTENT_TYPE, value)

    def get_response_status(self, idx: int) -> tuple[int, str | None]:
        """Return status and phrase of the answer."""
        processor = self._processor(idx)
        return processor.get_response_status_code(), processor.get_response_status_phrase()

    def set_response_status(self, code: int = 200, phrase: str = "", idx: int = 0) -> None:
        """Set the status of the answer."""
        if self.request_processor is not None:
            self._processor(idx).report_status(code, phrase)

    def set_all_response_status(self, code: int = 200, phrase: str = "") -> None:
        """Set the status of the answer."""
        self.set_response_status(code, phrase)

    def _processor(self, idx: int) -> RequestProcessor:
        if self.request_processor is None:
            raise RuntimeError("there is no request while the model is loaded")
        return self.request_processor[idx]
