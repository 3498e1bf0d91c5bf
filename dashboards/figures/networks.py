"""Networks beside each other: validation accuracy against milliseconds a picture."""

from __future__ import annotations

from typing import NamedTuple

import plotly.graph_objects as go

from dashboards.figures.theme import BLUE, GREY, ORANGE, message_figure, new_figure
from sm_entrypoints.contract.networks import NetworksDocument


class NetworksInfo(NamedTuple):
    """Networks that were measured: ``states`` are winner, all pictures, or part of them."""

    names: list[str]
    milliseconds: list[float]
    accuracies: list[float]
    errors: list[float]
    states: list[str]
    message: str | None = None


_COLOURS = {"winner": ORANGE, "saw all pictures": BLUE, "saw a part": GREY}


def get_networks_info(document: NetworksDocument) -> NetworksInfo:
    """Return the networks that answered for pictures of validation."""
    info = NetworksInfo([], [], [], [], [])
    for row in document["networks"]:
        speed, accuracy, error = row["milliseconds"], row["accuracy"], row["accuracy_error"]
        if speed is None or accuracy is None:
            continue
        whole = "saw all pictures" if row["share"] == 1 else "saw a part"
        info.names.append(row["network"])
        info.milliseconds.append(speed)
        info.accuracies.append(accuracy)
        info.errors.append(error or 0.0)
        info.states.append("winner" if row["network"] == document["winner"] else whole)
    if not info.names:
        return info._replace(message="No network was measured.")
    return info


def networks_figure(info: NetworksInfo) -> go.Figure:
    """Return a point for each network, with the standard error of its accuracy."""
    if info.message:
        return message_figure(info.message)
    figure = new_figure(height=300)
    for state, colour in _COLOURS.items():
        places = [place for place, each in enumerate(info.states) if each == state]
        if not places:
            continue
        figure.add_scatter(
            x=[info.milliseconds[place] for place in places],
            y=[100 * info.accuracies[place] for place in places],
            error_y={"type": "data", "array": [100 * info.errors[place] for place in places]},
            text=[info.names[place] for place in places],
            mode="markers+text",
            textposition="middle right",
            cliponaxis=False,
            name=state,
            marker={"color": colour, "size": 10},
            hovertemplate="%{text}: %{y:.1f}% at %{x:.1f} ms<extra></extra>",
        )
    figure.update_xaxes(title_text="milliseconds a picture", rangemode="tozero")
    # The names stand to the right of their points.
    figure.update_xaxes(range=[0, 1.35 * max(info.milliseconds)])
    figure.update_yaxes(title_text="validation accuracy, %")
    return figure
