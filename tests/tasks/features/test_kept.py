from __future__ import annotations

from datetime import UTC, datetime, timedelta

import obstore
import pytest
from obstore.store import MemoryStore

from tasks.features.kept import KeptFeatures, list_kept, remove, surplus
from tasks.features.places import mark
from tests.worlds.features import keep_features

ROOT = "whippet/features"
DAY = datetime(2026, 11, 26, tzinfo=UTC)


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    mark(store, ROOT, "chats, été")
    keep_features(store, f"{ROOT}/chats, été/0123456789abcdef", size=5000, pictures=12)
    keep_features(store, f"{ROOT}/pets/fedcba9876543210")
    return store


def named(dataset: str, days: int, size: int = 10) -> KeptFeatures:
    return KeptFeatures(
        dataset=dataset,
        folder="0" * 16,
        network="resnet18",
        precision="float32",
        image_size=224,
        pictures=1,
        bytes=size,
        used=DAY - timedelta(days=days),
        keys=(f"{ROOT}/{dataset}/x",),
    )


def test_what_is_kept_is_listed_by_data_set_and_network(store):
    first, second = list_kept(store, ROOT)
    assert first.name == "chats, été/0123456789abcdef"
    assert (first.network, first.precision, first.image_size) == ("mobilenet_v2", "bfloat16", 224)
    assert (first.pictures, first.bytes) == (12, 5000)
    assert first.used <= second.used
    assert datetime.now(UTC) - second.used < timedelta(minutes=5)


def test_nothing_kept_is_an_empty_list():
    store = MemoryStore()
    assert list_kept(store, ROOT) == []
    mark(store, ROOT, "pets")
    assert list_kept(store, ROOT) == []


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"key": 3, "pictures": "many"}', b"\xff"])
def test_a_folder_that_does_not_say_what_it_holds_is_listed_all_the_same(store, text):
    obstore.put(store, f"{ROOT}/pets/fedcba9876543210/about.json", text)
    (found,) = [each for each in list_kept(store, ROOT) if each.dataset == "pets"]
    assert (found.network, found.pictures, found.image_size) == ("", None, None)
    assert found.bytes > 0


def test_what_is_removed_is_gone_and_the_rest_stays(store):
    gone, stays = list_kept(store, ROOT)
    assert remove(store, [gone]) == 5000
    assert list_kept(store, ROOT) == [stays]
    assert obstore.head(store, f"{ROOT}/chats, été/about.json")  # a channel needs an object


def test_beyond_the_quota_the_longest_unused_go_first():
    kept = [named("new", 1), named("old", 9), named("middle", 5)]
    assert [each.dataset for each in surplus(kept, 30, spare="")] == []
    assert [each.dataset for each in surplus(kept, 29, spare="")] == ["old"]
    assert [each.dataset for each in surplus(kept, 10, spare="")] == ["old", "middle"]
    assert [each.dataset for each in surplus(kept, 0, spare="")] == ["old", "middle", "new"]


def test_the_features_of_the_data_set_in_use_go_last():
    kept = [named("mine", 9), named("other", 1)]
    assert [each.dataset for each in surplus(kept, 10, spare="mine")] == ["other"]
    assert [each.dataset for each in surplus(kept, 9, spare="mine")] == ["other", "mine"]
