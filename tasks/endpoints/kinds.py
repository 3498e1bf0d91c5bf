"""The kinds of endpoint, one object each: its part of the request, what bills, how it is asked.

Whatever depends on the kind of an endpoint asks its object. Which options of the form a kind takes
stands beside the form itself (:class:`tasks.parameters.run.DeploymentParameters`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, cast

from platforms.endpoint_kinds import EndpointKind, endpoint_kind
from platforms.sagemaker_requests import (
    AsyncInferenceOutput,
    EndpointConfigRequest,
    HostingInstanceType,
    ProductionVariant,
)
from tasks.parameters.run import DeploymentParameters
from tasks.requests.placement import Placement
from tasks.requests.shapes import AnyEndpointConfig

NOT_KNOWN = "not known"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instances:
    """The instances of a variant, which bill by the hour whether they are asked or not.

    ``volume_gb`` is None where the config does not size the volume.
    """

    type: str
    count: int
    volume_gb: int | None


class Kind(ABC):
    """A kind of endpoint.

    Attributes:
        name: its name in the form.
        title: its name as people read it.
        asked_by: the operation of SageMaker's runtime that it answers.
        most_bytes: what a request may have; our model server takes no more of an object, either.
        in_vpc: whether SageMaker serves it in a VPC.
        no_price: what stands in place of an amount that cannot be said.
        at_rest: what it costs while nobody asks, where no price by the hour can be said.
    """

    name: ClassVar[EndpointKind]
    title: ClassVar[str]
    asked_by: ClassVar[Literal["invoke_endpoint", "invoke_endpoint_async"]] = "invoke_endpoint"
    most_bytes: ClassVar[int] = 6_291_456
    in_vpc: ClassVar[bool] = True
    no_price: ClassVar[str] = NOT_KNOWN
    at_rest: ClassVar[str] = NOT_KNOWN

    @abstractmethod
    def variant(
        self, variant: ProductionVariant, deployment: DeploymentParameters
    ) -> ProductionVariant:
        """Return the production variant of a config with what the kind adds to it."""

    def config(
        self, config: EndpointConfigRequest, placement: Placement, async_uri: str
    ) -> EndpointConfigRequest:
        """Return a config with what the kind adds to it; answers in S3 go below ``async_uri``."""
        return config

    def instances(self, config: AnyEndpointConfig) -> list[Instances]:
        """Return the instances of a config of this kind; none when it bills by use."""
        return [
            Instances(
                type=variant["InstanceType"],
                count=int(variant["InitialInstanceCount"]),
                volume_gb=variant.get("VolumeSizeInGB"),
            )
            for variant in config.get("ProductionVariants", [])
            if "InstanceType" in variant
        ]

    def machines(self, config: AnyEndpointConfig) -> str:
        """Return what serves a config, in words: ``2 x ml.m5.xlarge``."""
        instances = self.instances(config)
        return ", ".join(f"{each.count} x {each.type}" for each in instances) or self.title

    def in_words(self, config: AnyEndpointConfig) -> str:
        """Return the kind with what tells an endpoint of it from another, in words."""
        return self.title


class _OnInstances(Kind):
    """Instances that wait to be asked."""

    def variant(
        self, variant: ProductionVariant, deployment: DeploymentParameters
    ) -> ProductionVariant:
        return {
            **variant,
            "InitialInstanceCount": deployment.instance_count,
            "InstanceType": cast(HostingInstanceType, deployment.instance_type),
            "InitialVariantWeight": 1.0,
        }

    def config(
        self, config: EndpointConfigRequest, placement: Placement, async_uri: str
    ) -> EndpointConfigRequest:
        if not placement.volume_kms_key:
            return config
        return {**config, "KmsKeyId": placement.volume_kms_key}


class _RealTime(_OnInstances):
    name = "real_time"
    title = "real-time"

    def in_words(self, config: AnyEndpointConfig) -> str:
        types = [each.type for each in self.instances(config)]
        return f"{self.title} ({types[0]})" if types else self.title


class _Asynchronous(_OnInstances):
    name = "asynchronous"
    title = "asynchronous"
    asked_by = "invoke_endpoint_async"

    def config(
        self, config: EndpointConfigRequest, placement: Placement, async_uri: str
    ) -> EndpointConfigRequest:
        output: AsyncInferenceOutput = {
            "S3OutputPath": f"{async_uri}/output",
            "S3FailurePath": f"{async_uri}/failure",
        }
        if placement.output_kms_key:
            output["KmsKeyId"] = placement.output_kms_key
        return {
            **super().config(config, placement, async_uri),
            "AsyncInferenceConfig": {"OutputConfig": output},
        }


class _Serverless(Kind):
    name = "serverless"
    title = "serverless"
    most_bytes = 4_194_304
    in_vpc = False  # SageMaker's guide, "Feature exclusions" of serverless inference
    no_price = "by use"
    at_rest = "by use: nothing while idle"

    def variant(
        self, variant: ProductionVariant, deployment: DeploymentParameters
    ) -> ProductionVariant:
        memory, calls = deployment.memory_mb, deployment.max_concurrency
        return {
            **variant,
            "ServerlessConfig": {"MemorySizeInMB": memory, "MaxConcurrency": calls},
        }


SERVERLESS, ASYNCHRONOUS, REAL_TIME = _Serverless(), _Asynchronous(), _RealTime()
KINDS: dict[EndpointKind, Kind] = {
    kind.name: kind for kind in (SERVERLESS, ASYNCHRONOUS, REAL_TIME)
}


def instances_of(config: AnyEndpointConfig) -> list[Instances]:
    """Return the instances that a config keeps, of whatever kind it is."""
    return kind_of(config).instances(config)


def kind_of(described: Mapping[str, object]) -> Kind:
    """Return the kind of an endpoint or of a config, as requested or as SageMaker describes it."""
    return KINDS[endpoint_kind(described)]
