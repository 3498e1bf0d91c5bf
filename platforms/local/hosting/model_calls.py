"""One HTTP call of a model server, and the errors of ``sagemaker-runtime``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
from botocore.exceptions import ClientError

from platforms.client_errors import response_metadata
from platforms.local.context import ACCOUNT
from sm_entrypoints.contract.sentences import clause

CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
# What boto3 sends with a body when nothing is said.
_DEFAULT_CONTENT_TYPE = "application/octet-stream"
_PING_SECONDS = 2.0


def call_model(
    endpoint: str, url: str, body: bytes, request: Mapping[str, Any], seconds: float
) -> httpx.Response:
    """Return a model server's good answer; ``request`` says how, as for ``invoke_endpoint``.

    Raises:
        ClientError: ``ModelError`` (it answered 4xx or 5xx, or not within ``seconds``) or
            ``ServiceUnavailable`` (its server just went away).
    """
    answer = _post(endpoint, url, body, _headers(request), seconds)
    if answer.is_error:
        raise model_error(endpoint, answer.status_code, answer.text)
    return answer


def _headers(request: Mapping[str, Any]) -> dict[str, str]:
    headers = {
        "Content-Type": request.get("ContentType", _DEFAULT_CONTENT_TYPE),
        # A compressed answer would not be the model's bytes.
        "Accept-Encoding": "identity",
    }
    if "Accept" in request:
        headers["Accept"] = request["Accept"]
    if "CustomAttributes" in request:
        headers[CUSTOM_ATTRIBUTES] = request["CustomAttributes"]
    return headers


def _post(
    name: str, url: str, body: bytes, headers: dict[str, str], seconds: float
) -> httpx.Response:
    try:
        with local_client(seconds) as client:
            return client.post(url, content=body, headers=headers)
    except httpx.TimeoutException as error:
        message = "Your invocation timed out while waiting for a response from container primary."
        raise model_error(name, 0, message) from error
    except httpx.TransportError as error:
        raise runtime_error(
            503,
            "ServiceUnavailable",
            f"The server of endpoint {name} went away ({clause(error)}). It is being restarted, "
            "unless the endpoint is Failed; its log says why.",
        ) from error


def model_error(name: str, status: int, text: str) -> ClientError:
    """Return the error of a model that answered 4xx or 5xx; 0 stands for no answer."""
    side = "client" if 400 <= status < 500 else "server"
    log = f"/aws/sagemaker/Endpoints/{name}"
    return runtime_error(
        424,
        "ModelError",
        f'Received {side} error ({status}) from primary with message "{text}". '
        f"See {log} in account {ACCOUNT} for more information.",
        OriginalStatusCode=status,
        OriginalMessage=text,
        LogStreamArn=f"arn:aws:logs:local:{ACCOUNT}:log-group:{log}",
    )


def runtime_error(status: int, code: str, message: str, **members: Any) -> ClientError:
    """Return an error as ``sagemaker-runtime`` answers it; ``members`` are its additional
    members."""
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": response_metadata(status),
        **members,
    }
    return ClientError(response, "InvokeEndpoint")


def local_client(seconds: float) -> httpx.Client:
    """Return a client for a server of ours: plain HTTP, past any proxy of the environment.

    ``seconds`` bounds connecting, and each wait for more bytes.
    """
    # Nothing is encrypted on 127.0.0.1; loading certificates would cost more than the request.
    return httpx.Client(trust_env=False, verify=False, timeout=seconds)


def answers_ping(port: int) -> bool:
    """Tell whether the model server on that port of this machine says that it is well."""
    try:
        with local_client(_PING_SECONDS) as client:
            return client.get(f"http://127.0.0.1:{port}/ping").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
