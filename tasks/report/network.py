"""What a search's choice of a network says, for the run's record and for people."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from dashboards.artifacts.tables import markdown_table, markdown_text
from dashboards.files.networks import read_networks_file
from dashboards.sections.network import (
    COLUMNS,
    EndpointPrice,
    choice_sentence,
    network_rows,
)
from sm_entrypoints.contract.networks import NetworksDocument
from tasks.costs.prices import table_prices
from tasks.parameters.run import DeploymentParameters
from tasks.runs.record_model import RunRecord
from tasks.runs.record_parts import NetworkFacts

_MONTH_HOURS = 730
_USUAL_TYPE = str(DeploymentParameters.model_fields["instance_type"].default)


def chosen_network(folder: Path) -> NetworkFacts | None:
    """Return what a search's output says of its network; None where there was no choice.

    Raises:
        ValueError: the file is not what the job writes.
    """
    document = read_networks_file(folder)
    if document is None:
        return None
    networks = document["networks"]
    chosen = {**networks[0], "among": len(networks), "rule": document["rule"]}
    return NetworkFacts.model_validate(chosen)


def choice_markdown(document: NetworksDocument, endpoint: EndpointPrice) -> str:
    """Return the artifact ``network``: the rule, and all networks beside each other."""
    rows: list[dict[str, object]] = [
        dict(zip(COLUMNS, row, strict=True)) for row in network_rows(document, endpoint)
    ]
    told = (choice_sentence(document), endpoint.sentence)
    lines = ["# Why this network", ""]
    lines += [line for each in told if each for line in (markdown_text(each), "")]
    return "\n".join([*lines, markdown_table(rows, list(COLUMNS))])


def endpoint_price(record: RunRecord) -> EndpointPrice:
    """Return what a month of the run's kind of endpoint costs, whichever network it serves.

    A serverless one is paid by its requests, which nobody knows yet.
    """
    deployment = record.group("deployment")
    if deployment.get("kind", "real_time") == "serverless":
        return EndpointPrice()
    instance = str(deployment.get("instance_type", _USUAL_TYPE))
    price = table_prices([(instance, "hosting")]).per_hour(instance, "hosting")
    if price is None:
        return EndpointPrice()
    month = price.usd * Decimal(_MONTH_HOURS)
    return EndpointPrice(
        usd_a_month=f"{month:.0f}",
        sentence=f"An endpoint of one {instance} costs {month:.0f} USD a month with any of these "
        f"networks ({price.source}); a faster one lets it answer more.",
    )
