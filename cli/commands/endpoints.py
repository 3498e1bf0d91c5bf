"""``whippet endpoints``: the endpoints that Whippet made."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cli.table import print_table

if TYPE_CHECKING:
    from tasks.costs.still_billing import Billing
    from tasks.endpoints.inventory import OwnedResource

HELP = "list endpoints"


def command(_: argparse.Namespace) -> int:
    """Print the endpoints that Whippet created, with their cost per hour and end time."""
    from platforms import connect
    from tasks.costs.still_billing import endpoint_billing
    from tasks.endpoints.inventory import list_endpoints

    platform = connect()
    rows = [endpoint_row(s, endpoint_billing(platform, s)) for s in list_endpoints(platform)]
    print_table(rows, empty="no endpoints")
    return 0


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
    return row | {"USD per hour": billing.row["USD per hour"]} if billing else row
