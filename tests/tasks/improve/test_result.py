from __future__ import annotations

import pytest

from tasks.costs.prices import table_prices
from tasks.improve.result import facts, improvement, improvement_markdown, rows, set_options
from tasks.parameters.notation import read_pair
from tests.worlds.improvements import comparison, planned, write_run

PRICES = table_prices([("ml.g4dn.xlarge", "training")])
JOB = {"TrainingJobName": "x-improve-1", "ResourceConfig": {"InstanceType": "ml.g4dn.xlarge"}}


@pytest.fixture
def plan(awkward_path):
    write_run(awkward_path)
    return planned(awkward_path)


def test_a_kept_change_is_worth_its_seconds_at_the_instances_price(plan):
    found = improvement(plan, JOB, comparison(), PRICES)
    assert found["improved_hyperparameters"] == {"num_workers": 2}
    assert found["options"] == ["--set", "num_workers=2"]
    assert found["saved"]["seconds"] == 50
    assert found["saved"]["usd"] == pytest.approx(50 / 3600 * 0.736)
    assert found["saved"]["usd_of_comparison"] == pytest.approx(30 / 3600 * 0.736)
    said = facts(found)
    assert said["saved"] == (
        "50.0 s less for a job of 4 epochs, 0.0102 USD less if ml.g4dn.xlarge is as fast (0.736 "
        "USD per hour, table of 2026-11, not confirmed by AWS)"
    )
    assert said["ratio"] == "0.500 (0.400 to 0.600, 97%) from 6 pairs of blocks"


SECONDS = {
    "start_up": 6.0,
    "initialization": 2.5,
    "training": 90.0,
    "evaluation": 9.0,
    "finalization": 3.0,
    "total": 110.5,
}


def test_expected_and_measured_are_both_of_the_whole_job(tmp_path):
    write_run(tmp_path, training={"epochs_run": 4, "seconds": SECONDS})
    found = improvement(planned(tmp_path), JOB, comparison(), PRICES)
    # 6 + 9 + 3 s, and of the 2.5 s the 2 s that A's half second of preparation is not.
    assert found["whole_job"] == {
        "basis": "the whole job: start-up, loading and test included",
        "rest_seconds": 20.0,
        "seconds": {"A": 120.0, "B": 70.0},
        "factor": pytest.approx(120 / 70),
        "saved_seconds": 50.0,
        "expected_factor": 1.5,
        "expected_saved_seconds": 10.0,
    }
    assert facts(found)["whole job"] == (
        "expected 1.50 times as fast, measured 1.71 (120.0 s become 70.0 s, of which 20.0 s are "
        "start-up, loading and test)"
    )
    assert [row["whole job, s"] for row in rows(found)] == ["120.0", "70.0"]


def test_a_job_that_did_not_say_its_seconds_is_compared_by_its_epochs_only(plan):
    found = improvement(plan, JOB, comparison(), PRICES)
    assert found["whole_job"] is None
    assert "whole job" not in facts(found)


@pytest.mark.parametrize("decision", ["rejected", "inconclusive"])
def test_what_is_not_kept_is_no_improvement(plan, decision):
    found = improvement(plan, JOB, comparison(decision))
    assert (found["improved_hyperparameters"], found["options"]) == (None, [])
    assert facts(found)["decision"] == f"{decision}: 0.500 times the time"
    assert "Next run" not in improvement_markdown(found)


def test_a_row_a_variant(plan):
    a, b = rows(improvement(plan, JOB, comparison(), PRICES))
    assert a == {
        "variant": "as trained",
        "hyperparameters": "num_workers=0",
        "ms per image": "20.000",
        "once, s": "0.50",
        "4 epochs, s": "100.0",
    }
    assert (b["variant"], b["hyperparameters"], b["ms per image"]) == (
        "changed",
        "num_workers=2",
        "10.000",
    )


def test_losses_have_a_column(plan):
    made = comparison() | {"speed": None, "quality": {"mean_loss": {"A": None, "B": 0.5}}}
    a, b = rows(improvement(plan, JOB, made))
    assert (a["validation loss"], b["validation loss"]) == ("diverged", "0.5000")


def test_the_artifact_shows_the_blocks(plan):
    text = improvement_markdown(improvement(plan, JOB, comparison(), PRICES))
    assert "data:image/svg+xml" in text
    assert "| as trained | num\\_workers=0 |" in text
    assert "--set num_workers=2" in text


def test_nothing_to_change_is_a_result(plan):
    found = improvement(plan, None, None)
    assert (found["decision"], found["job"], found["saved"]) == ("nothing to change", None, None)
    assert rows(found) == []
    assert "nothing to change" in improvement_markdown(found)


def test_an_unknown_instance_has_no_price(plan):
    job = {**JOB, "ResourceConfig": {"InstanceType": "ml.new.huge"}}
    found = improvement(plan, job, comparison(), PRICES)
    assert found["saved"]["usd"] is None
    assert "no price is known for ml.new.huge" in facts(found)["saved"]


def test_options_are_what_run_reads():
    change = {"num_workers": 2, "lr": 1e-05, "cache_features": "true", "model": "resnet18"}
    options = set_options(change)
    assert options[::2] == ["--set"] * 4
    read = dict(read_pair(text, "assignment", "--set") for text in options[1::2])
    assert read == {**change, "cache_features": True}  # train.py takes either
