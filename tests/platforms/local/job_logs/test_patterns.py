from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from platforms.local.job_logs.patterns import filter_pattern

EPOCH = '{"epoch": 3, "loss": 0.25, "name": "valid loss", "tags": ["a", {"b": null}], "done": true}'


@pytest.mark.parametrize(
    ("pattern", "message", "matches"),
    [
        ("", "anything", True),
        ("   ", "anything", True),
        ("ERROR", "an ERROR", True),
        ("ERROR", "an error", False),
        ("ERROR disk", "disk: ERROR", True),
        ("ERROR disk", "ERROR", False),
        ('"loss=0.5 at"', "valid loss=0.5 at 3", True),
        ('"loss=0.5 at"', "valid loss=0.5", False),
        (r'"say \"no\""', 'they say "no"', True),
        ("?ERROR ?WARN", "WARN", True),
        ("?ERROR ?WARN", "INFO", False),
        ('?"out of memory" ?WARN', "ran out of memory", True),
        ("epoch -DEBUG", "epoch 1", True),
        ("epoch -DEBUG", "DEBUG epoch 1", False),
        ('-"epoch 1"', "epoch 2", True),
        ("été", "l'été", True),
        ("{ $.epoch = 3 }", EPOCH, True),
        ("{$.epoch=3}", EPOCH, True),
        ("{ $.epoch > 3 }", EPOCH, False),
        ("{ $.epoch >= 3 && $.loss < 0.5 }", EPOCH, True),
        ("{ $.epoch > 3 || $.loss != 0.5 }", EPOCH, True),
        ("{ ($.epoch > 3 || $.loss = 0.25) && $.missing = 1 }", EPOCH, False),
        ('{ $.name = "valid*" }', EPOCH, True),
        ('{ $.name = "valid" }', EPOCH, False),
        ('{ $.name = "valid ?oss" }', EPOCH, False),
        ('{ $.tags[0] = "a" }', EPOCH, True),
        ("{ $.tags[1].b IS NULL }", EPOCH, True),
        ("{ $.tags[9] NOT EXISTS }", EPOCH, True),
        ("{ $.done is true }", EPOCH, True),
        ("{ $.done IS FALSE }", EPOCH, False),
        ("{ $.missing != 1 }", EPOCH, False),
        ("{ $.name > 3 }", EPOCH, False),
        ("{ $.epoch = 3 }", "epoch = 3", False),
        ("{ $.epoch = 3 }", "[" * 100_000, False),
    ],
)
def test_what_matches(pattern: str, message: str, matches: bool) -> None:
    assert filter_pattern(pattern)(message) is matches


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("loss=0.5", "Invalid character.*'loss=0.5': put it in quotation marks"),
        ('"open', "cannot read it from"),
        ("%ERR.*%", "regular expressions"),
        ("[ip, user, ...]", "space-delimited fields"),
        ("{ $.a = 1", "must end with }"),
        ("{ a = 1 }", "'a' is not a selector"),
        ("{ $.a ~ 1 }", "not an operator"),
        ("{ $.a > x }", "'x' is not a number"),
        ("{ $.a = }", "it ends where a value is expected"),
        ("{ $.a = 1 $.b = 2 }", "is unexpected"),
        ("{ ($.a = 1 }", "closing bracket"),
        ("{ " + "(" * 400 + " }", "nested deeper"),
        ("{ }", "it ends where a selector"),
    ],
)
def test_what_cannot_be_read_is_said(pattern: str, words: str) -> None:
    with pytest.raises(ClientError, match=words) as raised:
        filter_pattern(pattern)
    assert raised.value.response["Error"]["Code"] == "InvalidParameterException"


def test_either_terms_beside_others_are_left_out_by_name(caplog: pytest.LogCaptureFixture) -> None:
    matches = filter_pattern("?ERROR epoch")
    assert matches("epoch 1") is True
    assert "does not honour filterPattern ?ERROR" in caplog.text
