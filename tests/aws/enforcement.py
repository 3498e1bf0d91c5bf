"""A front before a SageMaker that lets through what a policy allows, as IAM does; else names it.

moto enforces IAM on its own services (S3, STS, IAM). SageMaker is not among those that it can
run, so its calls come by here: each becomes the actions that AWS checks for it, with resources
and conditions, judged by moto's own reading of policies.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from moto.iam.access_control import IAMPolicy, PermissionResult
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.worlds.local.served import in_a_thread

ACCOUNT = "123456789012"
REGION = "eu-west-1"
USER = f"arn:aws:iam::{ACCOUNT}:user/whippet-user"
_KINDS = {
    "HyperParameterTuningJob": "hyper-parameter-tuning-job",
    "TrainingJob": "training-job",
    "Model": "model",
    "EndpointConfig": "endpoint-config",
    "Endpoint": "endpoint",
}
_OF_TUNING = "ListTrainingJobsForHyperParameterTuningJob"
Answer = Callable[[str, bytes, dict[str, str]], Response]


@dataclass(frozen=True, kw_only=True)
class Check:
    """What IAM looks at: an action on a resource, and the keys of its conditions."""

    action: str
    resource: str
    context: dict[str, str] = field(default_factory=dict)


def arn(kind: str, name: str) -> str:
    """Return the ARN of a resource of SageMaker (``TrainingJob``)."""
    return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{_KINDS[kind]}/{name}"


def checks(operation: str, request: dict[str, Any]) -> Iterator[Check]:
    """Yield what AWS checks for a call of SageMaker, by its Service Authorization Reference."""
    action = f"sagemaker:{operation}"
    if operation == _OF_TUNING:
        kind = "HyperParameterTuningJob"
        yield Check(action=action, resource=arn(kind, request[f"{kind}Name"]))
    elif operation == "ListTags":
        # A local platform has an account and a region of its own.
        parts = request["ResourceArn"].split(":")
        yield Check(action=action, resource=":".join([*parts[:3], REGION, ACCOUNT, *parts[5:]]))
    elif operation.startswith("List"):
        yield Check(action=action, resource="*")
    else:
        kind = next(each for each in _KINDS if operation.endswith(each))
        own = arn(kind, request[f"{kind}Name"])
        yield Check(action=action, resource=own)
        if operation == "CreateEndpoint":
            config = arn("EndpointConfig", request["EndpointConfigName"])
            yield Check(action=action, resource=config)
        if operation.startswith("Create") and request.get("Tags"):
            yield Check(action="sagemaker:AddTags", resource=own)
        yield from _passed_roles(request)


def _passed_roles(request: dict[str, Any]) -> Iterator[Check]:
    for where in (request, request.get("TrainingJobDefinition", {})):
        for member in ("RoleArn", "ExecutionRoleArn"):
            if member in where:
                yield Check(
                    action="iam:PassRole",
                    resource=where[member],
                    context={"iam:PassedToService": "sagemaker.amazonaws.com"},
                )


class Front:
    """The front. ``policy`` may be changed at any time; ``used`` lists what was allowed."""

    def __init__(self, answer: Answer, policy: dict[str, Any]) -> None:
        self.answer, self.policy = answer, policy
        self.used: list[Check] = []
        self.denied: list[Check] = []

    def refusal(self, each: Check) -> str | None:
        """Return AWS's message if the policy does not allow an action, None if it does."""
        found = IAMPolicy(json.dumps(self.policy)).is_action_permitted(
            each.action, each.resource, None, each.context
        )
        if found == PermissionResult.PERMITTED:
            self.used.append(each)
            return None
        self.denied.append(each)
        return (
            f"User: {USER} is not authorized to perform: {each.action} on resource: "
            f"{each.resource} because no identity-based policy allows the {each.action} action"
        )

    def application(self) -> Starlette:
        """Return the ASGI application."""
        return Starlette(
            routes=[
                Route("/", self._json, methods=["POST"]),
                Route("/endpoints/{name}/invocations", self._invocation, methods=["POST"]),
            ]
        )

    async def _json(self, request: Request) -> Response:
        body, target = await request.body(), request.headers["x-amz-target"]
        service, _, operation = target.partition(".")
        if service == "SageMaker":
            found = list(checks(operation, json.loads(body)))
        elif service == "AWSPriceListService":
            found = [Check(action=f"pricing:{operation}", resource="*")]
        else:
            group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/sagemaker/TrainingJobs:*"
            found = [Check(action=f"logs:{operation}", resource=group)]
        return await self._judged(found, 400, "/", request, body)

    async def _invocation(self, request: Request) -> Response:
        name = request.path_params["name"]
        found = [Check(action="sagemaker:InvokeEndpoint", resource=arn("Endpoint", name))]
        return await self._judged(found, 403, request.url.path, request, await request.body())

    async def _judged(
        self, found: list[Check], status: int, path: str, request: Request, body: bytes
    ) -> Response:
        for each in found:
            message = self.refusal(each)
            if message is not None:
                said = {"__type": "AccessDeniedException", "message": message}
                kind = {"x-amzn-errortype": "AccessDeniedException"}
                return JSONResponse(said, status_code=status, headers=kind)
        headers = {
            name: value
            for name, value in request.headers.items()
            if name in ("x-amz-target", "content-type", "accept")
        }
        return await run_in_threadpool(self.answer, path, body, headers)


@contextmanager
def serving(front: Front) -> Iterator[str]:
    """Give the URL of a front."""
    config = uvicorn.Config(front.application(), lifespan="off", log_level="error")
    with in_a_thread(uvicorn.Server(config)) as url:
        yield url
