"""A search that chooses among two networks first, for real, and what it leaves for people."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from platforms import Settings, connect
from tests.worlds.pipeline import tiny_data

pytestmark = [pytest.mark.slow, pytest.mark.job]

NETWORKS = ("mobilenet_v2", "squeezenet1_1")


def test_a_search_goes_on_with_the_network_that_it_chose(prefect_server, whippet_home):
    from prefect.settings import PREFECT_API_URL

    from flows.tune_model import tune_model
    from tasks.parameters.run import (
        DataParameters,
        ModelParameters,
        ResourceParameters,
        TuningParameters,
    )
    from tasks.report.content import collect_report
    from tasks.runs.record import read_run

    try:
        best = tune_model.with_options(flow_run_name="choice")(
            DataParameters(path=str(tiny_data(Path(whippet_home, "data")))),
            ModelParameters(architecture=",".join(NETWORKS), image_size=32),
            TuningParameters(max_jobs=4, max_epochs=2, fixed={"batch_size": 8, "threads": 1}),
            ResourceParameters(),
        )
    finally:
        connect(Settings()).shut_down()
    folder = Path(whippet_home, "runs/choice")
    record = read_run(Settings(), "choice")
    choice = json.loads((folder / "search/networks.json").read_text("utf-8"))
    winner = choice["winner"]
    assert {each["network"] for each in choice["networks"]} == set(NETWORKS)
    assert best.network == best.hyperparameters["model"] == winner
    assert record.network is not None
    assert (record.network.network, record.network.among) == (winner, 2)
    summary = json.loads((folder / "search/search.json").read_text("utf-8"))
    seen = summary["features"]
    assert (seen["kept"], seen["computed"]) == (30, 6), "the choice saw all but the test split"
    report = collect_report(folder, record)
    assert report.networks is not None
    assert report.endpoint_price.usd_a_month == "41"
    answer = httpx.get(f"{PREFECT_API_URL.value()}/artifacts/network/latest").raise_for_status()
    told = answer.json()["data"].replace("\\_", "_")
    assert f"{winner} was chosen among 2 networks" in told
    for each in choice["networks"]:
        assert f"| {each['network']} |" in told
    assert "USD a month" in told
