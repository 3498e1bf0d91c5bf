from __future__ import annotations

import csv
from types import SimpleNamespace

import httpx
import pytest

from sm_entrypoints import contract
from sm_entrypoints.contract.wire import from_wire
from tasks.parameters.ranges import CategoricalRange, ContinuousRange, require_known
from tasks.parameters.run import ModelParameters, TuningParameters
from tasks.requests.bodies import tuning_job_request
from tasks.requests.tuning import (
    best_markdown,
    best_trial,
    fixed_hyperparameters,
    list_trials,
)
from tests.worlds.platforms import fake_platform
from tests.worlds.requests import inputs, training_inputs

LOG = ContinuousRange(min=1e-4, max=1e-1, scaling="Logarithmic")
SUMMARY = {
    "TrainingJobName": "demo-tune-003-0a1b2c3d",
    "FinalHyperParameterTuningJobObjectiveMetric": {
        "MetricName": contract.OBJECTIVE_METRIC,
        "Value": 0.25,
    },
}


def test_nothing_is_both_searched_and_fixed():
    tuning = TuningParameters(
        max_epochs=6,
        fixed={"optimizer": "sgd"},
        ranges={
            "image_size": CategoricalRange(values=[96, 128]),
            "seed": CategoricalRange(values=[1, 2]),
            "lr": LOG,
        },
    )
    fixed = fixed_hyperparameters(ModelParameters(), training_inputs(), tuning)
    require_known(fixed)
    assert not set(fixed) & set(tuning.search_ranges())
    assert fixed["optimizer"] == "sgd"
    assert fixed["epochs"] == 6


def test_epochs_are_fixed_only_when_they_are_not_searched():
    model, data = ModelParameters(), training_inputs()
    searched = TuningParameters(preset="lr-batch-epochs", max_epochs=5)
    assert "epochs" not in fixed_hyperparameters(model, data, searched)
    cut = TuningParameters(preset="lr-batch-epochs", max_epochs=1)
    assert fixed_hyperparameters(model, data, cut)["epochs"] == 1
    own = TuningParameters(fixed={"epochs": 2}, max_epochs=9)
    assert fixed_hyperparameters(model, data, own)["epochs"] == 2


def test_the_best_trial_is_typed_and_its_edges_are_flagged():
    tuning = TuningParameters(
        ranges={"lr": LOG, "batch_size": CategoricalRange(values=[16, 32])}, max_epochs=4
    )
    fixed = fixed_hyperparameters(ModelParameters(), training_inputs(), tuning)
    body = tuning_job_request("demo-tune", tuning.search_ranges(), fixed, inputs(), tuning)
    wire = {
        **body["TrainingJobDefinition"]["StaticHyperParameters"],
        "lr": "0.0999",
        "batch_size": '"16"',
        "_tuning_objective_metric": contract.OBJECTIVE_METRIC,
    }
    best = best_trial("demo-tune", SUMMARY, wire, tuning)
    assert best.hyperparameters == from_wire(wire) == {**fixed, "lr": 0.0999, "batch_size": 16}
    assert best.tuned == ["batch_size", "lr"]
    assert best.edges == {"lr": "upper"}
    assert best.objective == 0.25
    assert best.training_job == SUMMARY["TrainingJobName"]
    lines = best_markdown(best).splitlines()
    assert any("lr" in line and "upper edge: widen the range" in line for line in lines)
    assert any("demo-tune-003-0a1b2c3d" in line and "0.2500" in line for line in lines)
    tuned, rest = [
        [n for n, line in enumerate(lines) if kind in line] for kind in ("searched", "fixed")
    ]
    assert max(tuned) < min(rest), "what was searched comes first"


def test_every_page_of_trials_is_read():
    pages = {None: (["a", "b"], "1"), "1": (["c"], "2"), "2": ([], None)}

    def answer(**request):
        names, token = pages[request.get("NextToken")]
        summaries = [{"TrainingJobName": name} for name in names]
        return {"TrainingJobSummaries": summaries} | ({"NextToken": token} if token else {})

    client = SimpleNamespace(list_training_jobs_for_hyper_parameter_tuning_job=answer)
    found = list_trials(fake_platform(client), "demo-tune")
    assert [trial["TrainingJobName"] for trial in found] == ["a", "b", "c"]


@pytest.mark.slow
def test_the_trial_table_follows_the_job(prefect_server, whippet_home):
    from prefect import flow
    from prefect.settings import PREFECT_API_URL

    from platforms import Settings
    from tasks.runs.record import TRIALS_FILE, open_run, run_folder
    from tasks.tuning import publish_trials

    settings = Settings()
    run = open_run(settings, "id-1", "démo", {}, resume=False)
    trial = {**SUMMARY, "TrainingJobStatus": "Completed", "TunedHyperParameters": {"lr": "0.1"}}
    client = SimpleNamespace(
        list_training_jobs_for_hyper_parameter_tuning_job=lambda **_: {
            "TrainingJobSummaries": [trial]
        }
    )

    @flow
    def publish():
        publish_trials(fake_platform(client, home=settings.home), run, "demo-tune")

    publish()
    with (run_folder(settings, run.name) / TRIALS_FILE).open(encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert row["trial"] == SUMMARY["TrainingJobName"]
    assert (row["lr"], row["valid:loss"]) == ("0.1", "0.25")
    # Prefect 3.8's own client sends nulls that its server refuses.
    answer = httpx.get(f"{PREFECT_API_URL.value()}/artifacts/trials/latest").raise_for_status()
    assert answer.json()["type"] == "table"
    assert SUMMARY["TrainingJobName"] in answer.text
