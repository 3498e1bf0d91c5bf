"""Which image a job or an endpoint runs in on AWS, and what to know about it."""

from __future__ import annotations

import re
from datetime import date
from functools import cache
from importlib import import_module
from typing import Any

from platforms.aws.image_table import VERSIONS, ImageVersion, Scope
from platforms.errors import SettingsError
from platforms.image_accounts import ACCOUNTS
from platforms.instances import has_gpu

# In the registry of AWS or of one's own: account, region, repository, tag.
ECR_IMAGE = re.compile(
    r"(?P<account>\d{12})\.dkr[.-]ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.(?P<domain>[a-z.]+)"
    r"/(?P<repository>[^:@]+)(?::(?P<tag>[^@]+))?(?:@(?P<digest>.+))?"
)


def image_uri(scope: Scope, region: str, version: str, instance_type: str) -> str:
    """Return the URI of AWS's PyTorch image, with CUDA for an instance that has a GPU.

    Asks SageMaker's SDK when it is installed and knows the version, else our dated table.

    Raises:
        SettingsError: neither knows the version or the region; names those that are known.
    """
    found = VERSIONS[scope].get(".".join(version.split(".")[:2]))
    uri = _from_sdk(scope, region, version, found, instance_type)
    if uri is not None:
        return uri
    variable = f"WHIPPET_{scope.upper()}_IMAGE"
    if found is None:
        raise SettingsError(
            f"no {scope} image of PyTorch {version} is known (known: "
            f"{', '.join(VERSIONS[scope])}): set WHIPPET_PYTORCH_VERSION to one of these, or "
            f"{variable} to an image's URI"
        )
    if region not in ACCOUNTS:
        raise SettingsError(
            f"no {scope} image is known in region {region!r}: set {variable} to its URI, or "
            f"install the extra `aws`, whose SageMaker SDK may know it"
        )
    tag = found.gpu_tag if has_gpu(instance_type) else found.cpu_tag
    return f"{ACCOUNTS[region]}.dkr.ecr.{region}.amazonaws.com/{found.repository}:{tag}"


def _from_sdk(
    scope: Scope, region: str, version: str, found: ImageVersion | None, instance_type: str
) -> str | None:
    image_uris = _sdk()
    if image_uris is None:
        return None
    # Since 2.11 AWS builds on another base, which the SDK calls another framework.
    amazon_linux = found is None or found.python is None
    try:
        uri: str = image_uris.retrieve(
            "pytorch-amzn2023" if amazon_linux else "pytorch",
            region,
            version=version if found is None else found.version,
            py_version=None if found is None else found.python,
            instance_type=instance_type,
            image_scope=scope,
        )
    except ValueError:  # a version, region or instance that this SDK does not know
        return None
    return uri


@cache
def _sdk() -> Any:
    """Return the SDK's module of images; None when the extra ``aws`` is not installed."""
    try:
        return import_module("sagemaker.core.image_uris")
    except ImportError:
        return None


def image_notes(image: str, today: date) -> list[str]:
    """Return what to know about an image: that it gets no security patches, or soon will not.

    Knows AWS's own images by their tag; of any other nothing is said.
    """
    match = ECR_IMAGE.fullmatch(image)
    if match is None:
        return []
    for versions in VERSIONS.values():
        for found in versions.values():
            tags = (found.cpu_tag, found.gpu_tag)
            if match["repository"] == found.repository and _same_tag(match["tag"] or "", tags):
                return _age(image, found.patched_until, today)
    return []


def _same_tag(tag: str, known: tuple[str, str]) -> bool:
    # A tag may say more: 2.6.0-cpu-py312-ubuntu22.04-sagemaker.
    return any(tag == each or tag.startswith(f"{each}-") for each in known)


def _age(image: str, until: date, today: date) -> list[str]:
    if today <= until:
        return []
    use = (
        "build and push ours (`whippet image` prints how) and set WHIPPET_INFERENCE_IMAGE"
        if "/pytorch-inference:" in image
        else "set WHIPPET_PYTORCH_VERSION to a newer one"
    )
    return [f"image {image} has had no security patches since {until.isoformat()}: {use}"]
