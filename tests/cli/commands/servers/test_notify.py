"""Addresses that cannot be right are refused before a server is started or anything is kept."""

from __future__ import annotations

from typing import Any

import pytest
from prefect.blocks.abstract import NotificationError

from cli.commands.servers import notify
from cli.main import main


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (
            ["slack", "https://example.org/hook"],
            "no address of Slack: those look like https://hooks",
        ),
        (["slack", "https://hooks.slack.com/services/T0"], "no address of Slack"),
        (["slack", "https://hooks.slack.com.example.org/services/a/b/c"], "no address of Slack"),
        (
            ["teams", "https://example.org/hook"],
            "no address of Teams: those look like https://HOST",
        ),
        (["teams", "https://outlook.office.com/webhook/a@b/IncomingWebhook/c/d"], "of Teams"),
        (["webhook", "example.org"], "is no URL"),
        (["slack"], "name where to: whippet notify slack TARGET"),
        (["email", "you@example.org"], "goes through SendGrid"),
        (
            ["email", "you@example.org", "--sender", "us@example.org", "--key-file", "missing"],
            "--key-file missing cannot be read: No such file or directory",
        ),
    ],
)
def test_an_address_that_cannot_be_right(capsys, whippet_home, argv, said):
    assert main(["notify", *argv]) == 1
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert not (whippet_home / "server.json").exists()


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        ("slack", "https://hooks.slack.com/services/T0AB/B0CD/xYz1"),
        ("slack", "https://hooks.slack-gov.com/services/T0AB/B0CD/xYz1"),
        (
            "teams",
            "https://prod-01.westeurope.logic.azure.com:443/workflows/WFID/triggers/manual/paths/"
            "invoke?api-version=2016-06-01&sp=x&sv=1.0&sig=SIGNATURE",
        ),
    ],
)
def test_an_address_of_theirs_is_taken(kind: str, target: str) -> None:
    notify._require_address(kind, target)


def test_a_message_that_did_not_arrive_is_one_sentence_without_the_address(monkeypatch):
    class Block:
        @classmethod
        def load(cls, _: str) -> Any:
            return cls()

        def raise_on_failure(self) -> Any:
            raise NotificationError(log="Failed to send to https://hooks.slack.com/a/secret: 404.")

    monkeypatch.setattr(notify, "_block", lambda _: Block)
    with pytest.raises(notify.NotDelivered) as caught:
        notify._send("slack", "whippet-slack")
    assert str(caught.value) == (
        "the message to slack did not arrive: Failed to send to its address 404"
    )
