"""What a choice among networks leaves in the record, the report and the artifact."""

from __future__ import annotations

from dashboards.sections.network import EndpointPrice
from tasks.report.network import choice_markdown, chosen_network, endpoint_price
from tasks.runs.record_model import RunRecord, read_record
from tests.worlds.networks import networks_document, write_networks


def test_the_winner_goes_into_the_record_and_older_records_open(tmp_path):
    assert chosen_network(tmp_path) is None
    write_networks(tmp_path)
    found = chosen_network(tmp_path)
    assert found is not None
    assert (found.network, found.architecture, found.among) == ("mobilenet_v2", "mobilenet_v2", 4)
    assert found.accuracy == 0.93
    whole = {"name": "r", "token": "abcdef", "flow_run_id": "1"}
    assert read_record(whole, "run.json").network is None
    again = read_record({**whole, "network": found.model_dump()}, "run.json")
    assert again.network == found


def test_the_artifact_has_a_row_for_each_network():
    price = EndpointPrice(usd_a_month="41", sentence="An endpoint costs 41 USD a month.")
    lines = choice_markdown(networks_document(), price).splitlines()
    assert sum(line.startswith("|") for line in lines) == 2 + 4
    assert "| MB | USD a month |" in next(line for line in lines if line.startswith("|"))
    assert sum(" | 41 | " in line for line in lines) == 4
    assert price.sentence in lines
    unknown = choice_markdown(networks_document(), EndpointPrice())
    assert "USD a month |" in unknown
    assert "| 41 |" not in unknown


def test_the_price_is_that_of_the_kind_of_endpoint():
    def price(**deployment: str) -> str:
        record = RunRecord(
            name="r", token="abcdef", flow_run_id="1", parameters={"deployment": {**deployment}}
        )
        return endpoint_price(record)

    assert price().sentence.startswith("An endpoint of one ml.t2.medium costs 41 USD a month")
    assert price().usd_a_month == "41"
    assert "ml.m5.large costs 84 USD" in price(instance_type="ml.m5.large").sentence
    nobody_knows = price(kind="serverless"), price(instance_type="ml.unknown.large")
    assert nobody_knows == (EndpointPrice(), EndpointPrice())
