from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tasks.runs.record_parts import BestTrial, Evaluation
from tasks.stories.outcomes import accuracy_of, cleaned, searched, until


def test_the_test_accuracy_is_said_with_its_pictures():
    assert accuracy_of(Evaluation(accuracy=0.7350, samples=117)) == "73.5% on 117 pictures"
    assert accuracy_of(Evaluation(accuracy=1.0, samples=1)) == "100.0% on 1 picture"
    assert accuracy_of(Evaluation()).startswith("not tested")


def test_an_endpoint_is_up_until_its_time_of_day_or_date():
    today = datetime.now(UTC).replace(hour=14, minute=45)
    assert until(today.isoformat()) == "up until 14:45 UTC"
    later = today + timedelta(days=3)
    assert until(later.isoformat()) == f"up until {later:%Y-%m-%d} 14:45 UTC"
    assert until("never") == "up"


def test_a_search_says_its_best():
    best = BestTrial(
        tuning_job="s",
        training_job="s-1",
        objective=0.61234,
        hyperparameters={},
        tuned=[],
        edges={},
    )
    assert searched(best, 64) == "best of 64 trials: validation loss 0.6123"


def test_a_clean_up_says_how_much():
    assert cleaned([], dry_run=False) == "nothing to remove"
    assert cleaned(["a"], dry_run=False) == "removed 1 thing"
    assert cleaned(["a", "b"], dry_run=True) == "would remove 2 things"
