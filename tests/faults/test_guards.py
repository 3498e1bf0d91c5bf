"""A small part of `make test-faults`: the table of guards fits the source."""

from __future__ import annotations

from tests.faults.guard_table import GUARDS
from tests.faults.guards import out_of_date


def test_every_guard_is_where_the_table_says():
    assert out_of_date() == []
    assert len(GUARDS) >= 20
    assert len({guard.name for guard in GUARDS}) == len(GUARDS)
