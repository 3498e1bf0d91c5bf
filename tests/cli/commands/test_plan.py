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
    options = ("--instance-type", "ml.g4dn.xlarge", "--max-usd", "5", "--name", "démo")
    assert main(["plan", "--data", str(data), *options]) == 0
    text = capsys.readouterr().out
    assert "Plan of 'démo'" in text
    assert "demo-xxxxxx-tune" in text
    assert "cap $5.00: met by seconds of a trial 7200 -> " in text
    assert "ml.g4dn.xlarge for training job usage" in text
    assert sorted(whippet_home.rglob("*")) == before


def test_json_has_whole_requests(data, capsys):
    assert main(["plan", "--data", str(data), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    operations = [each["operation"] for each in found["requests"]]
    assert operations == [
        "CreateHyperParameterTuningJob",
        "CreateTrainingJob",
        "CreateModel",
        "CreateEndpointConfig",
        "CreateEndpoint",
    ]
    assert found["requests"][1]["request"]["ResourceConfig"]["InstanceType"] == "ml.m5.xlarge"
    assert float(found["worst_usd"]) > 0


def test_a_cap_that_is_too_small_is_one_sentence(data, capsys):
    assert main(["plan", "--data", str(data), "--max-usd", "0.5"]) == 1
    out, error = capsys.readouterr()
    assert out == ""
    assert "whippet: error: max_usd=0.5 is too small" in error
    assert "The smallest cap that works is --max-usd 0." in error
    assert "Traceback" not in error
