"""``whippet endpoints``: the endpoints that Whippet made."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from cli.table import print_table

if TYPE_CHECKING:
    from platforms import Platform
    from tasks.costs.still_billing import Billing
    from tasks.endpoints.inventory import OwnedResource

HELP = "list endpoints, and bring them back after a restart of the machine"
# Of a server that is deployed again: SageMaker's own patience with a first health check.
_SECONDS = 480.0


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "--revive",
        action="store_true",
        help="deploy those again whose processes are gone, as after a restart of this machine",
    )


def command(arguments: argparse.Namespace) -> int:
    """Print the endpoints that Whippet created, with their cost per hour and end time."""
    from platforms import connect
    from tasks.costs.still_billing import endpoint_billing
    from tasks.endpoints.inventory import list_endpoints

    platform = connect()
    code = _revive(platform) if arguments.revive else 0
    rows = [endpoint_row(s, endpoint_billing(platform, s)) for s in list_endpoints(platform)]
    print_table(rows, empty="no endpoints")
    return code


def _revive(platform: Platform) -> int:
    """Deploy lost endpoints again, and wait for their servers; 1 if one does not come back."""
    from tasks.endpoints.revive import revive_endpoints
    from tasks.requests.create_or_adopt import ENDPOINT
    from tasks.requests.waiting import Pace, wait_until

    found = revive_endpoints(platform)
    for name, problem in found:
        print(f"{name}: " + ("deployed again, loading its model" if problem is None else problem))
    if not found:
        print("no endpoint has lost its processes")
    pace, code = Pace(slowest=platform.defaults.poll_seconds, deadline=_SECONDS), 0
    for name in [name for name, problem in found if problem is None]:
        described = wait_until(
            partial(ENDPOINT.describe, platform.sagemaker, name),
            lambda found: found is None or found["EndpointStatus"] != "Creating",
            what=f"endpoint {name!r}",
            pace=pace,
        )
        if described is None:
            print(f"{name} was deleted meanwhile", file=sys.stderr)
        elif described["EndpointStatus"] != "InService":
            reason = described.get("FailureReason", described["EndpointStatus"])
            print(f"{name} does not come back: {reason}", file=sys.stderr)
            code = 1
    return code


def endpoint_row(state: OwnedResource, billing: Billing | None = None) -> dict[str, str]:
    """Return the row of an endpoint in a table, with its price where that is given."""
    expires = f"{state.expires:%Y-%m-%d %H:%M}" if state.expires else "never"
    late = " (passed)" if state.expired(datetime.now(UTC)) else ""
    row = {
        "endpoint": state.name,
        "status": state.status,
        "run": state.run,
        "created": f"{state.created:%Y-%m-%d %H:%M}",
        "expires (UTC)": expires + late,
    }
    if billing is None:
        return row
    return row | {name: billing.row[name] for name in ("USD per hour", "last request")}
