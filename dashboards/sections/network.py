"""The report's section on why the model is built on this network."""

from __future__ import annotations

from dataclasses import dataclass

from dashboards.figures.networks import get_networks_info, networks_figure
from dashboards.page.markup import Section, paragraph, plot, table
from sm_entrypoints.contract.networks import NetworkRow, NetworksDocument
from sm_entrypoints.contract.sentences import counted, joined

COLUMNS = (
    "network",
    "validation accuracy",
    "ms a picture",
    "MB",
    "USD a month",
    "pictures seen",
    "weights",
    "licence",
    "why it went no further",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointPrice:
    """What a month of the run's kind of endpoint costs: as a cell, and in a sentence that says of
    what. Both are empty where nobody knows.
    """

    usd_a_month: str = ""
    sentence: str = ""


def network_section(
    document: NetworksDocument, endpoint: EndpointPrice = EndpointPrice()
) -> Section:
    """Return the networks beside each other, the winner first."""
    return Section(
        anchor="network",
        title="Why this network",
        blocks=[
            paragraph(choice_sentence(document)),
            *([paragraph(endpoint.sentence, "note")] if endpoint.sentence else []),
            table(COLUMNS, network_rows(document, endpoint), marked=0),
            plot(
                "networks",
                "Accuracy against time",
                networks_figure(get_networks_info(document)),
                "one picture at a time on the machine of the search; bars: one standard error",
            ),
            paragraph(
                f"Each network answered by the best of {counted(document['heads'], 'head')}, with "
                "the same hyperparameters for each network. What was not shown all pictures "
                "learned from fewer, so its accuracy is below what it might reach.",
                "note",
            ),
        ],
    )


def choice_sentence(document: NetworksDocument) -> str:
    """Return which network won, by which rule, and what the choice took."""
    cost, count = document["cost"], len(document["networks"])
    ratio = cost["flops_ratio"]
    spent = f"The choice took {ratio:.0%} of showing every picture to each" if ratio else ""
    return joined(
        f"{document['winner']} was chosen among {counted(count, 'network')}",
        document["rule"],
        _compared(document),
        spent,
    )


def _compared(document: NetworksDocument) -> str:
    """Return on how many pictures the last ones were compared, if those are not all."""
    share = document["networks"][0]["share"]
    last = [row for row in document["networks"] if row["share"] == share]
    if not 0 < share < 1 or len(last) < 2:
        return ""
    return f"The last {len(last)} were compared on {share:.0%} of the pictures"


def network_rows(document: NetworksDocument, endpoint: EndpointPrice) -> list[list[str]]:
    """Return the cells of each network, in the order of :data:`COLUMNS`."""
    month = endpoint.usd_a_month or "-"
    return [_row(row, document["winner"], month) for row in document["networks"]]


def _row(row: NetworkRow, winner: str, month: str) -> list[str]:
    accuracy, error = row["accuracy"], row["accuracy_error"]
    measured = accuracy is not None and error is not None
    seen = row["train_pictures"] + row["valid_pictures"]
    return [
        row["network"],
        f"{100 * accuracy:.1f} ± {100 * error:.1f}%" if measured else "-",  # type: ignore[operator]
        _number(row["milliseconds"], ".1f"),
        _number(row["megabytes"], ".1f"),
        month,
        f"{seen:,} ({row['share']:.0%})",
        row["source"],
        row["licence"] or "-",
        "-" if row["network"] == winner else row["dropped"] or _lost(row),
    ]


def _lost(row: NetworkRow) -> str:
    """Return why a network that was never dropped did not win."""
    gap, error = row["behind"], row["behind_error"]
    if gap is None or error is None:
        return "the choice ended before"
    if gap <= error:
        return "no better by more than one standard error, and slower"
    return f"{100 * gap:.1f} ± {100 * error:.1f} points behind on the same pictures"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
