"""The end of every run: what is still billing by the hour."""

from __future__ import annotations

import sys

from botocore.exceptions import BotoCoreError, ClientError

from cli.console import say
from cli.table import print_table
from platforms import Settings, connect
from platforms.errors import WhippetError
from sm_entrypoints.contract.sentences import clause
from tasks.costs.still_billing import still_billing, total_sentence


def print_billing(settings: Settings) -> None:
    """Print what still bills by the hour, to stderr; a run that failed keeps its own error."""
    try:
        platform = connect(settings)
        resources = still_billing(platform)
    except (WhippetError, BotoCoreError, ClientError, OSError) as error:
        say(f"could not check what is still billing ({clause(error)}): see `whippet endpoints`")
        return
    print_table(
        [each.row for each in resources], empty="nothing is billing any more", file=sys.stderr
    )
    if resources:
        say(total_sentence(resources, bills=platform.bills))
