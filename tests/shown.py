"""What `make test-aws` shows at the end of its output: texts that tests keep for it.

They are properties of a test's report: those come along from a process of pytest-xdist, what a
test prints does not. `tests/aws/conftest.py` prints them.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

SHOWN = "shown"


@pytest.fixture
def show(record_property: Callable[[str, object], None]) -> Callable[[str, str], None]:
    """Keep a text for the end of the tests' output: ``show(title, text)``."""
    return lambda title, text: record_property(SHOWN, f"{title}\n{text}")
