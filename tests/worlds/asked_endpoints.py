"""Endpoints that a visitor of `whippet ui` may ask, and what they answer."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

from PIL import Image

from platforms.client_errors import client_error
from tasks.browse.asking import EndpointsInService
from tests.worlds.platforms import fake_platform, four_endpoints

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
PREDICTIONS = {"predictions": [{"label": "châ", "probability": 0.75}]}


def picture(kind: str = "PNG", size: int = 8) -> bytes:
    buffer = BytesIO()
    Image.effect_noise((size, size), 90).convert("RGB").save(buffer, kind)
    return buffer.getvalue()


class Runtime:
    """Answers as an endpoint does, and keeps what it was sent."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def invoke_endpoint(self, **request: Any) -> dict[str, Any]:
        self.sent.append(request)
        if request["EndpointName"] == "forever":
            raise client_error("InvokeEndpoint", "ModelError", "the model broke")
        return {"Body": BytesIO(json.dumps(PREDICTIONS).encode())}


def endpoints_over(runtime: Runtime, creating: str = "") -> EndpointsInService:
    """Return four endpoints, of which one is not ours and one may not be in service yet."""
    sagemaker = four_endpoints(NOW)
    for (kind, name), each in sagemaker.resources.items():
        if kind == "endpoint":
            each["EndpointStatus"] = "Creating" if name == creating else "InService"
    platform = fake_platform(sagemaker, runtime=runtime)
    return EndpointsInService(lambda: platform)
