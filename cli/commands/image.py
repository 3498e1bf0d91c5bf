"""``whippet image``: the commands that build and push the serving image."""

from __future__ import annotations

import argparse
import re
import shlex

from platforms.errors import ParameterError

HELP = "print the commands that build the serving image and push it to your registry"

_VERSION = "2.14.1"
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::(?P<account>\d{12}):role/.+")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--variant", choices=("cpu", "cuda"), default="cpu", help="default cpu")
    parser.add_argument("--account", metavar="ID", help="default: of WHIPPET_ROLE_ARN")
    parser.add_argument("--region", help="default: WHIPPET_REGION")
    parser.add_argument(
        "--repository", default="whippet-serving", help="in the registry (default whippet-serving)"
    )


def command(arguments: argparse.Namespace) -> int:
    """Print the commands, ready for a shell; runs none of them."""
    from platforms import Settings

    settings = Settings()
    match = _ROLE.fullmatch(settings.role_arn or "")
    account = arguments.account or (match["account"] if match else None)
    region = arguments.region or settings.region_said
    if account is None or region is None:
        raise ParameterError(
            "whose registry? Give --account and --region, or set WHIPPET_ROLE_ARN and "
            "WHIPPET_REGION"
        )
    if not re.fullmatch(r"\d{12}", account):
        raise ParameterError(f"--account {account!r} is not a valid account: give its 12 digits")
    print(commands(account, region, arguments.variant, arguments.repository))
    return 0


def commands(account: str, region: str, variant: str, repository: str) -> str:
    """Return the commands that build the image and push it to the account's own registry."""
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    registry = f"{account}.dkr.ecr.{region}.{domain}"
    uri = f"{registry}/{repository}:{_VERSION}-{variant}"
    of_cpu = ' --build-arg TORCH_WHEELS="${TORCH_WHEELS:?is not set}"' if variant == "cpu" else ""
    place = f"--region {shlex.quote(region)}"
    lines = [
        "# in the project's folder; TORCH_WHEELS: PyTorch's own package index of CPU wheels"
        if of_cpu
        else "# in the project's folder",
        "docker build --platform linux/amd64 --provenance=false -f docker/Dockerfile "
        f"--build-arg VARIANT={variant}{of_cpu} -t {shlex.quote(uri)} .",
        f"aws ecr create-repository {place} --repository-name {shlex.quote(repository)} "
        "--image-scanning-configuration scanOnPush=true",
        f"aws ecr get-login-password {place} "
        f"| docker login --username AWS --password-stdin {registry}",
        f"docker push {shlex.quote(uri)}",
        f"export WHIPPET_INFERENCE_IMAGE={shlex.quote(uri)}",
    ]
    return "\n".join(lines)
