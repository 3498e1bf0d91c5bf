"""Messages by Prefect's own blocks arrive at Slack, Teams and SendGrid, over real HTTPS.

The services are this machine's, behind a proxy (`tests.worlds.internet`); nothing is patched.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.commands.servers import notify
from tests.worlds.internet import Internet, internet

# A Prefect server keeps the blocks. Apprise imports all of its plug-ins, one of them something old.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning"),
]
SLACK, TEAMS, SENDGRID = "hooks.slack.com", "prod-01.logic.azure.com", "api.sendgrid.com"
OF_TEAMS = f"https://{TEAMS}:443/workflows/WFID/triggers/manual/paths/invoke"


@pytest.fixture
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Internet]:
    """The three services, found by the variables of this test."""
    with internet(tmp_path, SLACK, TEAMS, SENDGRID) as found:
        for name, value in found.variables.items():
            monkeypatch.setenv(name, value)
        yield found


def kept(*argv: str) -> str:
    """Keep a target as `whippet notify` does; return its name."""
    parser = argparse.ArgumentParser()
    notify.add_options(parser)
    arguments = parser.parse_args(argv)
    values = notify._values(arguments)
    assert values is not None
    name = f"delivery-{arguments.kind}"
    notify._block(arguments.kind)(**values).save(name, overwrite=True)
    return name


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    (tmp_path / "sendgrid.key").write_text("SG.abcdefghijklmnopqrstuv.wxyz\n", "utf-8")
    return tmp_path / "sendgrid.key"


def test_slack(prefect_server: None, services: Internet) -> None:
    name = kept("slack", f"https://{SLACK}/services/T0AB/B0CD/xYz1")
    notify._send("slack", name)
    (message,) = services.sent
    assert (message.host, message.path) == (SLACK, "/services/T0AB/B0CD/xYz1")
    said = json.dumps(json.loads(message.body))
    assert notify._SUBJECT in said
    assert notify._BODY in said


def test_teams(prefect_server: None, services: Internet) -> None:
    name = kept("teams", f"{OF_TEAMS}?api-version=2016-06-01&sp=x&sv=1.0&sig=SIGNATURE")
    notify._send("teams", name)
    (message,) = services.sent
    assert message.host == TEAMS
    assert message.path.startswith("/workflows/WFID/triggers/manual/paths/invoke?")
    assert "sig=SIGNATURE" in message.path
    said = json.dumps(json.loads(message.body))
    assert notify._SUBJECT in said
    assert notify._BODY in said


def test_an_email(prefect_server: None, services: Internet, key_file: Path) -> None:
    more = ("--sender", "whippet@example.org", "--key-file", str(key_file))
    name = kept("email", "you@example.org", *more)
    services.status = 202
    notify._send("email", name)
    (message,) = services.sent
    assert (message.host, message.path) == (SENDGRID, "/v3/mail/send")
    assert message.headers["Authorization"] == "Bearer SG.abcdefghijklmnopqrstuv.wxyz"
    letter = json.loads(message.body)
    assert letter["personalizations"][0]["to"] == [{"email": "you@example.org"}]
    assert letter["from"]["email"] == "whippet@example.org"
    assert letter["subject"] == notify._SUBJECT
    assert notify._BODY in letter["content"][0]["value"]


def test_what_a_service_refuses_did_not_arrive(prefect_server: None, services: Internet) -> None:
    name = kept("slack", f"https://{SLACK}/services/T0AB/B0CD/xYz1")
    services.status = 404
    with pytest.raises(notify.NotDelivered, match=r"the message to slack did not arrive: .*404"):
        notify._send("slack", name)
    assert len(services.sent) == 1
