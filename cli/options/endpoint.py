"""The options of an endpoint, and the parameters that they stand for. Standard library only."""

from __future__ import annotations

import argparse
from typing import Any

_KINDS = {"real-time": "real_time", "serverless": "serverless", "async": "asynchronous"}


def add_endpoint_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the endpoint to a command."""
    endpoint = parser.add_argument_group("endpoint (docs/serving.md)")
    endpoint.add_argument(
        "--kind", choices=tuple(_KINDS), help="how it is served and billed (default real-time)"
    )
    endpoint.add_argument("--hours-to-live", type=float, help="of the endpoint (default 8)")
    endpoint.add_argument("--endpoint-instance-type", help="default ml.t2.medium")
    endpoint.add_argument(
        "--max-instances", type=int, metavar="N", help="scale a real-time endpoint up to this many"
    )
    endpoint.add_argument("--memory-mb", type=int, help="of a serverless worker (default 3072)")
    endpoint.add_argument(
        "--max-concurrency", type=int, metavar="N", help="serverless calls at a time (default 5)"
    )


def endpoint_choices(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the deployment's parameters; None stands for what was not said."""
    return {
        "kind": None if arguments.kind is None else _KINDS[arguments.kind],
        "hours_to_live": arguments.hours_to_live,
        "instance_type": arguments.endpoint_instance_type,
        "max_instances": arguments.max_instances,
        "memory_mb": arguments.memory_mb,
        "max_concurrency": arguments.max_concurrency,
    }
