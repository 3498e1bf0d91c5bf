"""``whippet notify``: who is told when a run fails, waits, or costs more than it should."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from platforms.errors import ParameterError, WhippetError
from sm_entrypoints.contract.sentences import clause

HELP = "choose who is told of failed runs, questions, costs: webhook, Slack, Teams or e-mail"
_KINDS = ("webhook", "slack", "teams", "email")
# The only addresses to which Prefect's block for Slack sends.
_SLACK = re.compile(r"https://hooks\.slack(-gov)?\.com/services/(\w+/){2}\w+/?", re.ASCII)
_LOOKS_LIKE = {
    "slack": "https://hooks.slack.com/services/T…/B…/…",
    "teams": "https://HOST/workflows/…/triggers/manual/paths/invoke?…&sig=…",
}
_ADDRESS = re.compile(r"\w+://\S+")
_SUBJECT, _BODY = "Whippet: a test", "This is where messages of your runs arrive."


class NotDelivered(WhippetError):
    """Raised when a test message did not arrive."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("kind", nargs="?", choices=_KINDS, help="default: list those that are told")
    parser.add_argument(
        "target", nargs="?", help="URL, or the address of an e-mail; - reads it from the input"
    )
    parser.add_argument("--sender", metavar="ADDRESS", help="email: who sends it")
    parser.add_argument(
        "--key-file", type=Path, metavar="FILE", help="email: a file with SendGrid's API key"
    )
    parser.add_argument("--test", action="store_true", help="send a message now")
    parser.add_argument("--remove", action="store_true", help="tell them no more")


def command(arguments: argparse.Namespace) -> int:
    """Keep the target as a block of Prefect, secret, and let the automations tell it."""
    values = _values(arguments)
    from cli.server.choosing import use_server
    from platforms import Settings

    settings = Settings()
    use_server(settings)
    # Prefect reads its settings when it is imported.
    from prefect import get_client

    from cli.operation.automations import PREFIX, notification_blocks
    from cli.operation.put_in_place import apply_automations

    with get_client(sync_client=True) as client:
        if arguments.kind is None:
            print("\n".join(sorted(notification_blocks(client))) or "nobody is told")
            return 0
        name = f"{PREFIX}{arguments.kind}"
        if arguments.remove:
            known = notification_blocks(client).get(name)
            if known is None:
                raise ParameterError(f"nobody is told by {arguments.kind}: see `whippet notify`")
            client.delete_block_document(known)
        elif values is not None:
            _block(arguments.kind)(**values).save(name, overwrite=True)
        if arguments.test:
            _send(arguments.kind, name)
        print(apply_automations(client))
    return 0


def _values(arguments: argparse.Namespace) -> dict[str, Any] | None:
    """Return the fields of the block; None where nothing is to be changed.

    Raises:
        ParameterError: something is missing, or is no address.
    """
    kind, target = arguments.kind, arguments.target
    if kind is None or arguments.remove or (target is None and arguments.test):
        return None
    if target is None:
        raise ParameterError(f"name where to: whippet notify {kind} TARGET")
    target = sys.stdin.readline().strip() if target == "-" else target
    if kind == "email":
        return _email(target, arguments)
    if not target.lower().startswith(("https://", "http://")):
        raise ParameterError(f"{target!r} is no URL: it begins with https:// or http://")
    if kind == "webhook":
        message = {"subject": "{{subject}}", "body": "{{body}}"}
        return {"name": "whippet", "url": target, "json_data": message}
    _require_address(kind, target)
    return {"url": target}


def _require_address(kind: str, target: str) -> None:
    """Check an address of Slack or Teams: their blocks send to those alone, and say so late.

    Raises:
        ParameterError: it is another address; shows what theirs look like.
    """
    from apprise.plugins.workflows import NotifyWorkflows

    # Apprise, with which Prefect sends to Teams, has no types.
    of_teams: Callable[[str], object] = NotifyWorkflows.parse_native_url
    if not (_SLACK.fullmatch(target) if kind == "slack" else of_teams(target)):
        raise ParameterError(
            f"that is no address of {kind.title()}: those look like {_LOOKS_LIKE[kind]}; for any "
            "other address use `whippet notify webhook URL`"
        )


def _email(target: str, arguments: argparse.Namespace) -> dict[str, Any]:
    if "@" not in target or not arguments.sender or arguments.key_file is None:
        raise ParameterError(
            "e-mail goes through SendGrid: whippet notify email TO --sender FROM --key-file FILE"
        )
    try:
        key = arguments.key_file.read_text("utf-8").strip()
    except OSError as error:
        raise ParameterError(
            f"--key-file {arguments.key_file} cannot be read: {error.strerror}"
        ) from error
    return {
        "api_key": key,
        "sender_email": arguments.sender,
        "to_emails": [each.strip() for each in target.split(",")],
    }


def _block(kind: str) -> Any:
    from prefect.blocks import notifications as blocks

    return {
        "webhook": blocks.CustomWebhookNotificationBlock,
        "slack": blocks.SlackWebhook,
        "teams": blocks.MicrosoftTeamsWebhook,
        "email": blocks.SendgridEmail,
    }[kind]


def _send(kind: str, name: str) -> None:
    from prefect.blocks.abstract import NotificationError

    block = _block(kind).load(name)
    try:
        with block.raise_on_failure():
            block.notify(_BODY, _SUBJECT)
    except NotificationError as error:  # what Apprise logged is all that is known
        # An address is a secret.
        log = _ADDRESS.sub("its address", error.log).strip() or "no reason is given"
        raise NotDelivered(f"the message to {kind} did not arrive: {clause(log)}") from error
    # Apprise, httpx and Prefect each have errors of their own; none of them is ours to repeat.
    except (OSError, RuntimeError, ValueError) as error:
        raise NotDelivered(f"the message to {kind} did not arrive: {clause(error)}") from error
    print(f"sent a message by {kind}")
