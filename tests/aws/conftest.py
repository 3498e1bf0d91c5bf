"""What tests of whole runs on the AWS side share; what `make test-aws` shows at its end."""

from __future__ import annotations

import pytest

from tests.flows.conftest import server_url as server_url
from tests.shown import SHOWN
from tests.shown import show as show


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests showed, also those that ran in another process."""
    reports = [each for reports in terminalreporter.stats.values() for each in reports]
    for report in reports:
        if getattr(report, "when", None) != "call":
            continue
        for name, text in report.user_properties:
            if name == SHOWN:
                title, _, lines = text.partition("\n")
                terminalreporter.section(title)
                terminalreporter.write_line(lines)
