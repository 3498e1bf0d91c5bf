"""What the records of all runs here still name: jobs, objects, endpoints."""

from __future__ import annotations

from collections.abc import Iterator

from platforms import Settings
from platforms.old_files import Needed
from tasks.requests.tags import RUN_TAG
from tasks.runs.record import every_run


def needed_by_runs(settings: Settings) -> Needed:
    """Return the prefixes of the runs' jobs, and every text in their records."""
    prefixes, words = set(), set()
    for run in every_run(settings):
        prefixes.add(run.identity.prefix)
        # The ledger says what every trial cost, also of those that nobody needs any more.
        words |= set(_texts(run.model_dump(mode="json", exclude={"ledger"})))
    return Needed(prefixes=frozenset(prefixes), words=frozenset(words), tag=RUN_TAG)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield str(key)
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
