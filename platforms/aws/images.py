"""Which image a job or an endpoint runs in on AWS, and what to know about it."""

from __future__ import annotations

import re
from datetime import date

from platforms.aws.image_table import VERSIONS, Scope
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

    Raises:
        SettingsError: the dated table does not know the version or the region; names the variable
            that takes a URI instead, and the versions that are known.
    """
    image_version = VERSIONS[scope].get(".".join(version.split(".")[:2]))
    variable = f"WHIPPET_{scope.upper()}_IMAGE"
    if image_version is None:
        raise SettingsError(
            f"no {scope} image of PyTorch {version} is known (known: "
            f"{', '.join(VERSIONS[scope])}): set WHIPPET_PYTORCH_VERSION to one of these, or "
            f"{variable} to an image's URI"
        )
    if region not in ACCOUNTS:
        raise SettingsError(
            f"no {scope} image is known in region {region!r}: set {variable} to its URI, as in "
            f"China, GovCloud and the isolated regions"
        )
    tag = image_version.gpu_tag if has_gpu(instance_type) else image_version.cpu_tag
    return f"{ACCOUNTS[region]}.dkr.ecr.{region}.amazonaws.com/{image_version.repository}:{tag}"


def image_notes(image: str, today: date) -> list[str]:
    """Return notes about an image: that it gets no security patches, or soon will not. Knows AWS's
    own images by their tag; for any other it returns nothing.
    """
    match = ECR_IMAGE.fullmatch(image)
    if match is None:
        return []
    for versions in VERSIONS.values():
        for image_version in versions.values():
            tags = (image_version.cpu_tag, image_version.gpu_tag)
            if match["repository"] == image_version.repository and _same_tag(
                match["tag"] or "", tags
            ):
                return _age(image, image_version.patched_until, today)
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
