"""What tests of the local platform start from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from platforms.local.context import LocalContext
from tests.worlds.local.serving import serving_context


@pytest.fixture
def context(tmp_path: Path) -> Iterator[LocalContext]:
    """A home of its own, whose interpreter serves models without torch."""
    with serving_context(tmp_path) as context:
        yield context
