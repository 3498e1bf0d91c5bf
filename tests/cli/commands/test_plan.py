from __future__ import annotations

import json

import pytest

from cli.main import main
from tests.worlds.pictures import write_data


@pytest.fixture
def data(awkward_path, whippet_home):
    counts = {split: {"a": 2, "b": 2} for split in ("train", "valid", "test")}
    return write_data(awkward_path / "photos", counts)


def test_a_plan_is_printed_and_nothing_is_written(data, whippet_home, capsys):
    before = sorted(whippet_home.rglob("*"))
    options = ("--instance-type", "ml.g4dn.xlarge", "--max-usd", "2", "--name", "démo")
    assert main(["plan", "--data", str(data), *options]) == 0
    text = capsys.readouterr().out
    assert "Plan of 'démo'" in text
    assert "demo-xxxxxx-tune" in text
    assert "cap $2.00: met by seconds of the search 7200 -> " in text
    assert "ml.g4dn.xlarge for training job usage" in text
    assert sorted(whippet_home.rglob("*")) == before


def test_json_has_whole_requests(data, capsys):
    assert main(["plan", "--data", str(data), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    operations = [each["operation"] for each in found["requests"]]
    assert operations == [
        "CreateTrainingJob",
        "CreateTrainingJob",
        "CreateModel",
        "CreateEndpointConfig",
        "CreateEndpoint",
    ]
    assert found["requests"][1]["request"]["ResourceConfig"]["InstanceType"] == "ml.m5.xlarge"
    assert float(found["worst_usd"]) > 0
    assert found["search"]["strategy"] == "packed"
    assert [way["strategy"] for way in found["search_ways"]] == ["packed", "Bayesian"]


def test_a_search_that_cannot_be_packed_is_one_sentence(data, capsys):
    options = ("--strategy", "packed", "--set", "augmentation=flip")
    assert main(["plan", "--data", str(data), *options]) == 1
    out, error = capsys.readouterr()
    assert out == ""
    assert "whippet: error: strategy='packed' is not possible: augmentation=flip changes" in error
    assert "set views=1, which mirrors each image once, or augmentation=none, or use" in error


def test_a_cap_that_is_too_small_is_one_sentence(data, capsys):
    assert main(["plan", "--data", str(data), "--max-usd", "0.5"]) == 1
    out, error = capsys.readouterr()
    assert out == ""
    assert "whippet: error: max_usd=0.5 is too small" in error
    assert "The smallest cap that works is --max-usd 0." in error
    assert "Traceback" not in error
