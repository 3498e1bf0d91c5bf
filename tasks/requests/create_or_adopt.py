"""Describe first, create second, adopt what is ours: no job is ever paid for twice."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from itertools import count, islice
from typing import Any, Generic, Never, TypeVar

from botocore.exceptions import ClientError

from platforms import SageMaker
from platforms.client_errors import NotSeenYet, is_not_found
from platforms.errors import NameTaken
from platforms.sagemaker_requests import (
    EndpointConfigRequest,
    EndpointRequest,
    ModelRequest,
    TrainingRequest,
    TransformRequest,
    TuningRequest,
)
from platforms.sagemaker_types import (
    Endpoint,
    EndpointConfig,
    Model,
    Tag,
    TrainingJob,
    TransformJob,
    TuningJob,
)
from tasks.requests.identity import digest_tag, with_source_of
from tasks.requests.pages import pages
from tasks.requests.tags import DIGEST_TAG

MOST_ATTEMPTS = 9
# What it is asked for by, and what its description is.
R = TypeVar("R", bound=Mapping[str, object], contravariant=True)
D = TypeVar("D", bound=Mapping[str, object], covariant=True)
# What is sent.
B = TypeVar("B", bound=Mapping[str, object])
SPENT = ("Failed", "Stopped", "Stopping")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource(Generic[R, D]):
    """How one kind of resource is created, found and named in SageMaker's API.

    Attributes:
        noun: what a person calls it.
        operation: what follows ``create_``, ``describe_`` … in the names of operations.
        has_status: false for what is only a record, such as a model.
    """

    noun: str
    operation: str
    has_status: bool = True

    @property
    def name_member(self) -> str:
        """The member that names it: ``TrainingJobName``."""
        return f"{self.type_name}Name"

    @property
    def arn_member(self) -> str:
        """The member with its ARN: ``TrainingJobArn``."""
        return f"{self.type_name}Arn"

    @property
    def status_member(self) -> str | None:
        """The member with its status, ``TrainingJobStatus``; None when it has none."""
        return f"{self.type_name}Status" if self.has_status else None

    def status_of(self, described: Mapping[str, object]) -> str | None:
        """Return the status of a described resource; None when it has none."""
        return None if self.status_member is None else str(described[self.status_member])

    @property
    def type_name(self) -> str:
        """What SageMaker calls it: ``TrainingJob``."""
        return "".join(word.capitalize() for word in self.operation.split("_"))

    def describe(self, sagemaker: SageMaker, name: str) -> D | None:
        """Return the description, or None when there is no resource of that name."""
        try:
            described: D = getattr(sagemaker, f"describe_{self.operation}")(
                **{self.name_member: name}
            )
        except ClientError as error:
            if is_not_found(error):
                return None
            raise
        return described

    def summaries(self, sagemaker: SageMaker, **filters: str) -> list[dict[str, Any]]:
        """Return what ``list_…`` says of those that the filters choose, of all its pages."""
        listing = getattr(sagemaker, f"list_{self.operation}s")
        member = f"{self.type_name}{'Summaries' if self.operation.endswith('_job') else 's'}"
        return [
            each
            for page in pages(lambda paging: listing(**filters, **paging))
            for each in page[member]
        ]

    def names(self, sagemaker: SageMaker, **filters: str) -> list[str]:
        """Return the names of those that the filters choose."""
        return [each[self.name_member] for each in self.summaries(sagemaker, **filters)]

    def create(self, sagemaker: SageMaker, request: R) -> None:
        """Create the resource."""
        getattr(sagemaker, f"create_{self.operation}")(**request)

    def delete(self, sagemaker: SageMaker, name: str) -> None:
        """Delete the resource; a missing one is not an error."""
        try:
            getattr(sagemaker, f"delete_{self.operation}")(**{self.name_member: name})
        except ClientError as error:
            if not is_not_found(error):
                raise

    def stop(self, sagemaker: SageMaker, name: str) -> bool:
        """Ask a job to stop; return False when it has ended by itself."""
        try:
            getattr(sagemaker, f"stop_{self.operation}")(**{self.name_member: name})
        except ClientError as error:
            # SageMaker refuses to stop what is not in progress; the other jobs still bill.
            if error.response.get("Error", {}).get("Code") != "ValidationException":
                raise
            return False
        return True


# Of whatever kind: it can be described and deleted, not created.
AnyResource = Resource[Never, Mapping[str, object]]
TRAINING_JOB: Resource[TrainingRequest, TrainingJob] = Resource(
    noun="training job", operation="training_job"
)
TUNING_JOB: Resource[TuningRequest, TuningJob] = Resource(
    noun="tuning job", operation="hyper_parameter_tuning_job"
)
TRANSFORM_JOB: Resource[TransformRequest, TransformJob] = Resource(
    noun="transform job", operation="transform_job"
)
MODEL: Resource[ModelRequest, Model] = Resource(noun="model", operation="model", has_status=False)
ENDPOINT_CONFIG: Resource[EndpointConfigRequest, EndpointConfig] = Resource(
    noun="endpoint config", operation="endpoint_config", has_status=False
)
ENDPOINT: Resource[EndpointRequest, Endpoint] = Resource(noun="endpoint", operation="endpoint")


def _already_there(error: ClientError) -> bool:
    code = error.response.get("Error", {}).get("Code", "")
    text = error.response.get("Error", {}).get("Message", "").lower()
    return code == "ResourceInUse" or "already exist" in text


def create_or_adopt(
    sagemaker: SageMaker,
    resource: Resource[B, D],
    request: Callable[[int], B],
    relax: Callable[[B, ClientError], B | None] = lambda _request, _error: None,
    spent: Container[str] | None = None,
    told: Callable[[str], None] = lambda _note: None,
) -> str:
    """Return the name of the resource that ``request(attempt)`` asks for, created at most once.

    A job of that name that ended Failed or Stopped is left as evidence, whatever it was asked
    for (a failed job is often followed by a change of the code), and the next attempt's name is
    used. Anything else of that name is adopted when its request digest is the same, or differs by
    the source archive alone: a run that goes on after an upgrade keeps the jobs that it has, and
    ``told`` is called with a sentence about it.
    ``relax`` may give what to ask for instead when the service refuses a request.
    With ``spent``, only the jobs named there are followed by another attempt: one that fails while
    it is being adopted is not paid for twice, its name is returned for its end to be told.

    Raises:
        NameTaken: a resource of that name was created by another request, or every attempt failed.

    Example:
        >>> from tasks.requests.create_or_adopt import TRAINING_JOB, create_or_adopt
        >>> def request(attempt):
        ...     return training_job_request(f"pets-{attempt}", {"lr": 0.01}, inputs, parameters)
        >>> create_or_adopt(sagemaker, TRAINING_JOB, request)  # creates it
        'pets-1'
        >>> create_or_adopt(sagemaker, TRAINING_JOB, request)  # adopts it
        'pets-1'
    """
    for attempt in range(1, MOST_ATTEMPTS + 1):
        body = request(attempt)
        name = str(body[resource.name_member])
        existing = resource.describe(sagemaker, name)
        if existing is None:
            try:
                _create(sagemaker, resource, body, relax)
                return name
            except ClientError as error:  # a racer, or our own answer that was lost
                if not _already_there(error):
                    raise
                existing = resource.describe(sagemaker, name)
                if existing is None:  # it went between the two calls, or cannot be seen yet
                    raise NotSeenYet(error.response, error.operation_name) from error
        if resource.status_of(existing) not in SPENT:
            _require_same_request(sagemaker, resource, existing, body, told)
            return name
        if spent is not None and name not in spent:
            return name
    raise NameTaken(
        f"{resource.noun} {name!r}: {MOST_ATTEMPTS} earlier attempts failed; start a new run"
    )


def past(
    request: Callable[[int], B], resource: Resource[B, D], redone: Container[str]
) -> Callable[[int], B]:
    """Return requests that pass over jobs whose step is done again: they are never adopted."""

    def later(attempt: int) -> B:
        bodies = (request(number) for number in count(1))
        ours = (each for each in bodies if str(each[resource.name_member]) not in redone)
        return next(islice(ours, attempt - 1, None))

    return later


def _create(
    sagemaker: SageMaker,
    resource: Resource[B, D],
    body: B,
    relax: Callable[[B, ClientError], B | None],
) -> None:
    try:
        resource.create(sagemaker, body)
    except ClientError as error:
        relaxed = None if _already_there(error) else relax(body, error)
        if relaxed is None:
            raise
        resource.create(sagemaker, relaxed)


def _require_same_request(
    sagemaker: SageMaker,
    resource: AnyResource,
    described: Mapping[str, object],
    body: Mapping[str, object],
    told: Callable[[str], None],
) -> None:
    name = body[resource.name_member]
    digest = _tag(sagemaker.list_tags(ResourceArn=str(described[resource.arn_member]))["Tags"])
    if digest == digest_tag(body):
        return
    if digest != digest_tag(with_source_of(body, described)):
        raise NameTaken(
            f"{resource.noun} {name!r} exists and was created by another request (its "
            f"{DIGEST_TAG} tag differs): use another run name, or delete it"
        )
    told(f"{resource.noun} {name!r} began with an earlier version of the code, and is kept")


def _tag(tags: Iterable[Tag]) -> str | None:
    return next((tag["Value"] for tag in tags if tag["Key"] == DIGEST_TAG), None)
