"""``whippet features`` on a home with features of two data sets, and with none."""

from __future__ import annotations

import obstore
import pytest

from cli.main import main
from platforms import connect
from tests.worlds.features import keep_features


@pytest.fixture
def kept(whippet_home) -> None:
    platform = connect()
    store = platform.store(platform.defaults.bucket)
    root = f"{platform.settings.prefix}/features"
    keep_features(store, f"{root}/pets/0123456789abcdef", size=1_500_000, pictures=1234)
    keep_features(store, f"{root}/pets/00000000000000ab", views=4936)
    keep_features(store, f"{root}/été/fedcba9876543210")


def test_nothing_is_kept(whippet_home, capsys):
    assert main(["features"]) == 0
    said = capsys.readouterr().out
    assert "no features are kept" in said
    assert "0.00 GB of 10 GB (WHIPPET_FEATURES_GB)" in said


def test_what_is_kept_is_listed_with_its_size(kept, monkeypatch, capsys):
    monkeypatch.setenv("WHIPPET_FEATURES_GB", "0.5")
    assert main(["features"]) == 0
    said = capsys.readouterr().out
    (row,) = [line for line in said.splitlines() if "pets/0123456789abcdef" in line]
    assert row.split()[1:7] == ["mobilenet_v2", "224", "bfloat16", "1,234", "-", "1.5"]
    (row,) = [line for line in said.splitlines() if "pets/00000000000000ab" in line]
    assert row.split()[4:6] == ["7", "4,936"], "a view is no picture"
    assert "progress" not in said
    assert "été/fedcba9876543210" in said
    assert "0.00 GB of 0.5 GB" in said


def test_the_progress_of_a_search_is_no_row_but_takes_room(kept, capsys):
    platform = connect()
    root = f"{platform.settings.prefix}/features"
    store = platform.store(platform.defaults.bucket)
    for number in (1, 2):
        obstore.put(store, f"{root}/pets/search-demo-{number}/generation-0001.json", bytes(300_000))
    assert main(["features"]) == 0
    said = capsys.readouterr().out
    assert "search-demo" not in said
    assert "0.6 MB of it the progress of 2 searches to go on with" in said
    assert main(["features", "--remove", "pets"]) == 0
    assert "removed pets/search-demo-1" in capsys.readouterr().out
    main(["features"])
    assert "progress" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("pets", ["été/fedcba9876543210"]),
        ("pets/0123456789abcdef/", ["pets/00000000000000ab", "été/fedcba9876543210"]),
    ],
)
def test_a_data_set_or_one_network_can_be_removed(kept, capsys, name, left):
    assert main(["features", "--remove", name]) == 0
    assert "1.5 MB are free again" in capsys.readouterr().out
    main(["features"])
    rows = [line.split()[0] for line in capsys.readouterr().out.splitlines() if "/" in line[:40]]
    assert [row for row in rows if "/" in row and not row.startswith("s3")] == left


@pytest.mark.parametrize("name", ["pet", "0123456789abcdef", "", "/", ".."])
def test_what_is_not_kept_cannot_be_removed(kept, capsys, name):
    assert main(["features", "--remove", name]) == 1
    said = capsys.readouterr()
    assert f"no features are kept under {name!r}" in said.err
    assert said.out == ""


@pytest.mark.parametrize("value", ["-1", "much", "inf", "nan"])
def test_a_quota_that_is_no_number_is_refused(whippet_home, monkeypatch, capsys, value):
    monkeypatch.setenv("WHIPPET_FEATURES_GB", value)
    assert main(["features"]) == 1
    assert "WHIPPET_FEATURES_GB" in capsys.readouterr().err
