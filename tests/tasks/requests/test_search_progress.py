"""The progress of a packed search in its bucket: read while it runs, deleted when it was used."""

from __future__ import annotations

import json
from typing import Any

import obstore
import pytest
from obstore.store import MemoryStore

from tasks.requests.search_progress import remove_progress, trials_so_far
from tasks.runs.names import RunIdentity
from tests.worlds.packed_search import packed_request, trial_table
from tests.worlds.platforms import fake_platform

RUN = RunIdentity(name="demo", token="abc123", flow_run_id="id-1")
PLACE = "whippet/features/pets/search-demo-abc123-tune"
TABLE = trial_table("demo-abc123-tune", [(0.1, [0.9]), (0.2, [])])


@pytest.fixture
def platform() -> Any:
    store = MemoryStore()
    obstore.put(store, f"{PLACE}/trials.json", json.dumps(TABLE).encode())
    obstore.put(store, f"{PLACE}/generation-0001.json", b"{}")
    return fake_platform(store=lambda _: store)


def job(attempt: int, **changed: Any) -> Any:
    return {**packed_request(RUN, attempt=attempt), **changed}


@pytest.mark.parametrize("attempt", [1, 2])
def test_the_trials_that_have_ended_are_read_wherever_the_attempt_keeps_them(platform, attempt):
    assert trials_so_far(platform, job(attempt)) == TABLE


@pytest.mark.parametrize("text", [b"", b"{", b"{}", b"\xff"])
def test_a_table_that_cannot_be_understood_is_no_table(platform, text):
    obstore.put(platform.store(""), f"{PLACE}/trials.json", text)
    assert trials_so_far(platform, job(1)) == []


def test_a_search_that_has_kept_nothing_yet_has_no_trials(platform):
    obstore.delete(platform.store(""), f"{PLACE}/trials.json")
    assert trials_so_far(platform, job(1)) == []
    assert trials_so_far(platform, job(1, CheckpointConfig={})) == []


def test_progress_is_deleted_and_nothing_beside_it(platform):
    store = platform.store("")
    others = [f"{PLACE}-2/trials.json", "whippet/features/pets/0123456789abcdef/about.json"]
    for key in others:
        obstore.put(store, key, b"{}")
    for _ in range(2):  # a killed run does it again
        remove_progress(platform, job(2))
        left = [each["path"] for page in obstore.list(store) for each in page]
        assert sorted(left) == sorted(others)
