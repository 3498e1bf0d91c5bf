from __future__ import annotations

import pytest

from tasks.runs.moments import moment


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("2026-11-27T08:31:42+00:00", "2026-11-27 08:31 UTC"),
        ("2026-11-27T08:31:42+02:00", "2026-11-27 06:31 UTC"),
        ("2026-11-27T08:31", "2026-11-27 08:31 UTC"),
        ("never", "never"),
    ],
)
def test_a_moment_is_told_to_the_minute_in_utc(written: str, shown: str) -> None:
    assert moment(written) == shown
