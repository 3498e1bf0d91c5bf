"""What AWS charges: from its price list, or else from a dated table beside this module.

AWS's price page renders its tables in the browser, so the figures in ``price_table.json`` come from
several independent public tables of 2024 to 2026, and AWS has not confirmed them; edit the file as
needed. Every price names its source.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Literal, TypedDict

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, ConfigDict, Field

from platforms import Pricing

Use = Literal["training", "hosting"]

_TABLE = Path(__file__).with_name("price_table.json")
_SERVICE = "AmazonSageMaker"
# The price list's usage types: "USE1-Train:ml.m5.xlarge", "EU-Host:ml.t2.medium".
_USAGE: dict[Use, str] = {"training": "Train", "hosting": "Host"}
_STORAGE, _VOLUMES = "ML Storage", ("Train:VolumeUsage.gp2", "Host:VolumeUsage.gp2")
_FROM_AWS = "AWS's price list"


class Price(BaseModel):
    """USD of one unit, and where the figure is from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    usd: Decimal = Field(ge=0)
    source: str


class PriceList(BaseModel):
    """The prices that a run is planned and accounted with.

    Attributes:
        region: whose prices are wanted; a price of the table says when it is another's.
        instance_hours: price of an hour of an instance, by ``<use> <instance type>``.
        volume_gb_month: storage of an instance, a GB and month of 730 hours.
        objects_gb_month: storage in S3 (standard).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    region: str
    instance_hours: dict[str, Price]
    volume_gb_month: Price
    objects_gb_month: Price

    def per_hour(self, instance_type: str, use: Use) -> Price | None:
        """Return the price of an hour of one instance, None when it is not known."""
        return self.instance_hours.get(_key(instance_type, use))

    def of_another_region(self) -> list[str]:
        """Return whose prices are the table's, and the table is not for this region."""
        if self.region == table_region():
            return []
        table = table_source(self.region)
        return sorted(key for key, price in self.instance_hours.items() if price.source == table)

    def sources(self) -> list[str]:
        """Return where the prices are from, each once."""
        prices = [*self.instance_hours.values(), self.volume_gb_month, self.objects_gb_month]
        return sorted({price.source for price in prices})


def _key(instance_type: str, use: Use) -> str:
    return f"{use} {instance_type}"


class _Table(TypedDict):
    region: str
    dated: str
    instance_hour: dict[str, str]
    volume_gb_month: str
    volume_gb_month_at_most: str
    objects_gb_month: str


class _Attributes(TypedDict):
    attributes: dict[str, str]


class _Dimension(TypedDict):
    pricePerUnit: dict[str, str]


class _Offer(TypedDict):
    priceDimensions: dict[str, _Dimension]


class _Product(TypedDict):
    """A product of AWS's price list: what is read of it."""

    product: _Attributes
    terms: dict[str, dict[str, _Offer]]


@cache
def _table() -> _Table:
    table: _Table = json.loads(_TABLE.read_text("utf-8"))
    return table


def table_source(region: str | None = None) -> str:
    """Return how to cite a price of the table; names the region if it differs."""
    table = _table()
    other = f" for {table['region']}, not {region}" if region not in (None, table["region"]) else ""
    return f"table of {table['dated']}{other}, not confirmed by AWS"


def table_region() -> str:
    """Return the region that the table's prices are for."""
    return str(_table()["region"])


def table_prices(wanted: Iterable[tuple[str, Use]], region: str | None = None) -> PriceList:
    """Return the table's prices of the wanted instances; what it does not know is left out."""
    table, source = _table(), table_source(region)
    return PriceList(
        region=region or table["region"],
        instance_hours={
            _key(instance_type, use): Price(
                usd=Decimal(table["instance_hour"][instance_type]), source=source
            )
            for instance_type, use in wanted
            if instance_type in table["instance_hour"]
        },
        volume_gb_month=_table_volume(region),
        objects_gb_month=Price(usd=Decimal(table["objects_gb_month"]), source=source),
    )


def _table_volume(region: str | None) -> Price:
    """Return the price of storage; abroad the highest of any region, since a cap counts on it."""
    table = _table()
    if region in (None, table["region"]):
        return Price(usd=Decimal(table["volume_gb_month"]), source=table_source())
    source = f"the highest of any region, {table_source()}"
    return Price(usd=Decimal(table["volume_gb_month_at_most"]), source=source)


def current_prices(pricing: Pricing | None, wanted: Iterable[tuple[str, Use]]) -> PriceList:
    """Return the prices of the wanted instances: AWS's own where it gives them, else the table's.

    Never fails for want of a price list: a price that is not AWS's says so.
    """
    pairs = sorted(set(wanted))
    from_table = table_prices(pairs, pricing.region if pricing else None)
    if pricing is None:
        return from_table
    try:
        answers = {_key(*pair): _asked(pricing, *pair) for pair in pairs}
        # Jobs' and endpoints' may differ: the dearest.
        volume = max(_listed(pricing, "productFamily", _STORAGE, _VOLUMES), default=None)
    except (BotoCoreError, ClientError, ValueError, KeyError, TypeError):
        # No permission, no network, or an answer of a different shape: the table has to do.
        return from_table
    from_aws = {
        key: Price(usd=usd, source=_FROM_AWS) for key, usd in answers.items() if usd is not None
    }
    update: dict[str, object] = {"instance_hours": {**from_table.instance_hours, **from_aws}}
    if volume is not None:
        update["volume_gb_month"] = Price(usd=volume, source=_FROM_AWS)
    return from_table.model_copy(update=update)


def _asked(pricing: Pricing, instance_type: str, use: Use) -> Decimal | None:
    """Return AWS's price, None when there is not exactly one."""
    prices = _listed(pricing, "instanceName", instance_type, (f"{_USAGE[use]}:{instance_type}",))
    return prices.pop() if len(prices) == 1 else None


def _listed(pricing: Pricing, field: str, value: str, usages: tuple[str, ...]) -> set[Decimal]:
    """Return the prices in the region of these usages, among the products with that attribute."""
    filters = [
        {"Type": "TERM_MATCH", "Field": "regionCode", "Value": pricing.region},
        {"Type": "TERM_MATCH", "Field": field, "Value": value},
    ]
    answer = pricing.client.get_products(ServiceCode=_SERVICE, Filters=filters, MaxResults=100)
    products: list[_Product] = [json.loads(product) for product in answer["PriceList"]]
    return {
        price
        for product in products
        if product["product"]["attributes"].get("usagetype", "").split("-")[-1] in usages
        for price in _on_demand(product)
    }


def _on_demand(product: _Product) -> Iterator[Decimal]:
    for offer in product["terms"].get("OnDemand", {}).values():
        for dimension in offer["priceDimensions"].values():
            usd = Decimal(str(dimension["pricePerUnit"]["USD"]))
            if usd > 0:
                yield usd
