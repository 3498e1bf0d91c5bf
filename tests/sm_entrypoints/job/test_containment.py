"""What fails inside stays inside, is said once, and ends the rest."""

from __future__ import annotations

import io
import sys

import pytest

from sm_entrypoints.job.containment import Containment


def _fail(message: str) -> int:
    raise OSError(message)


def test_a_failure_is_said_once_and_ends_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    calls: list[str] = []
    containment = Containment("the hook", on_failure=lambda: calls.append("cleaned up"))
    assert containment.run(len, "abc") == 3
    assert containment.run(_fail, "disk\nfull") is None
    assert containment.run(len, "abc") is None
    assert containment.attempt(len, "abc") == 3
    assert containment.attempt(_fail, "again") is None
    assert containment.failure == "OSError: disk full"
    assert calls == ["cleaned up"]
    assert capsys.readouterr().out.splitlines() == [
        "the hook switched off (OSError: disk full); training continues."
    ]


def test_a_failing_clean_up_stays_inside() -> None:
    containment = Containment("the hook", on_failure=lambda: _fail("again") and None)
    assert containment.run(_fail, "first") is None
    assert containment.failure == "OSError: first"


def test_neither_exits_nor_errors_without_a_text_get_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Unspeakable(Exception):
        def __str__(self) -> str:
            raise ValueError("no text")

    def fail(error: BaseException) -> None:
        raise error

    for error, told in ((SystemExit(3), "SystemExit: 3"), (Unspeakable(), "Unspeakable")):
        containment = Containment("the hook", on_failure=lambda: sys.exit("while cleaning up"))
        assert containment.run(fail, error) is None
        assert containment.failure == told
        assert capsys.readouterr().out.splitlines() == [
            f"the hook switched off ({told}); training continues.",
            "the hook: could not clean up (SystemExit: while cleaning up)",
        ]


def test_a_closed_output_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stdout", closed)
    containment = Containment("the hook", on_failure=lambda: None)
    assert containment.run(_fail, "disk full") is None
    assert containment.failure == "OSError: disk full"


def test_interrupts_pass() -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Containment("the hook", on_failure=lambda: None).run(interrupt)
