from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import boto3
import pytest
from botocore.stub import Stubber

from platforms import Pricing
from tasks.costs import prices
from tasks.costs.prices import PriceList, current_prices, table_prices

# The table may be renewed without a word to its tests.
DATED = json.loads(Path(prices.__file__).with_name("price_table.json").read_bytes())["dated"]
WANTED = [("ml.g4dn.xlarge", "training"), ("ml.t2.medium", "hosting")]


def product(usage: str, *usd: str) -> str:
    dimensions = {
        str(n): {"unit": "Hrs", "pricePerUnit": {"USD": price}} for n, price in enumerate(usd)
    }
    return json.dumps(
        {
            "product": {"productFamily": "ML Instance", "attributes": {"usagetype": usage}},
            "terms": {"OnDemand": {"x": {"priceDimensions": dimensions}}},
        }
    )


@pytest.fixture
def price_list():
    """A real client whose answers are ours, in the order of the sorted pairs that are asked."""
    client = boto3.client(
        "pricing", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    with Stubber(client) as stub:
        yield stub, Pricing(client=client, region="eu-west-1")


def asked(stub: Stubber, value: str, *products: str, field: str = "instanceName") -> None:
    filters = [
        {"Type": "TERM_MATCH", "Field": "regionCode", "Value": "eu-west-1"},
        {"Type": "TERM_MATCH", "Field": field, "Value": value},
    ]
    request = {"ServiceCode": "AmazonSageMaker", "Filters": filters, "MaxResults": 100}
    stub.add_response("get_products", {"PriceList": list(products)}, request)


def asked_for_storage(stub: Stubber, *products: str) -> None:
    asked(stub, "ML Storage", *products, field="productFamily")


def test_the_price_list_of_the_region_wins_over_the_table(price_list):
    stub, pricing = price_list
    asked(
        stub,
        "ml.g4dn.xlarge",
        product("EU-Train:ml.g4dn.xlarge", "0.8208000000", "0.0"),
        product("EU-Host:ml.g4dn.xlarge", "0.9"),
        product("EU-Notebk:ml.g4dn.xlarge", "0.7"),
    )
    asked(stub, "ml.t2.medium", product("Host:ml.t2.medium", "0.0600"))
    asked_for_storage(
        stub,
        product("EU-Train:VolumeUsage.gp2", "0.154"),
        product("EU-Host:VolumeUsage.gp2", "0.155"),
        product("EU-Notebk:VolumeUsage.gp2", "0.9"),
    )
    found = current_prices(pricing, WANTED)
    training = found.per_hour("ml.g4dn.xlarge", "training")
    hosting = found.per_hour("ml.t2.medium", "hosting")
    assert training is not None
    assert hosting is not None
    assert (training.usd, training.source) == (Decimal("0.8208"), "AWS's price list")
    assert hosting.usd == Decimal("0.06")
    assert found.per_hour("ml.g4dn.xlarge", "hosting") is None, "it was not asked for"
    assert found.volume_gb_month.usd == Decimal("0.155")  # the dearer of what a run may use
    assert found.volume_gb_month.source == "AWS's price list"
    stub.assert_no_pending_responses()
    assert PriceList.model_validate_json(found.model_dump_json()) == found


def test_a_price_that_is_not_unique_is_not_believed(price_list):
    stub, pricing = price_list
    two = [product("EU-Train:ml.g4dn.xlarge", price) for price in ("0.8", "0.9")]
    asked(stub, "ml.g4dn.xlarge", *two)
    asked(stub, "ml.t2.medium")
    asked_for_storage(stub)
    assert current_prices(pricing, WANTED) == table_prices(WANTED, "eu-west-1")


@pytest.mark.parametrize("answer", ["not json", "[]", '{"product": {}}'])
def test_an_answer_of_another_shape_falls_back_to_the_table(price_list, answer):
    stub, pricing = price_list
    asked(stub, "ml.g4dn.xlarge", answer)
    assert current_prices(pricing, WANTED) == table_prices(WANTED, "eu-west-1")


def test_without_permission_the_table_says_what_it_is(price_list):
    stub, pricing = price_list
    stub.add_client_error("get_products", "AccessDeniedException", "no", 400)
    found = current_prices(pricing, WANTED)
    assert found.sources() == [
        f"table of {DATED} for us-east-1, not eu-west-1, not confirmed by AWS",
        f"the highest of any region, table of {DATED}, not confirmed by AWS",
    ]
    # A cap abroad must hold, wherever that is.
    here = table_prices(WANTED, "us-east-1").volume_gb_month.usd
    assert found.volume_gb_month.usd > here


def test_the_table_knows_what_it_knows():
    found = current_prices(None, [*WANTED, ("ml.p99.huge", "training")])
    assert found.region == "us-east-1"
    assert found.sources() == [f"table of {DATED}, not confirmed by AWS"]
    assert found.per_hour("ml.p99.huge", "training") is None
    price = found.per_hour("ml.g4dn.xlarge", "training")
    assert price is not None
    assert price.usd == Decimal("0.736")


def test_every_figure_of_the_table_is_a_positive_decimal():
    table = prices._table()
    figures = [*table["instance_hour"].values(), table["volume_gb_month"]]
    figures.append(table["volume_gb_month_at_most"])
    assert all(isinstance(figure, str) and Decimal(figure) > 0 for figure in figures)
