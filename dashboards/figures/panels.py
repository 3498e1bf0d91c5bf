"""Several small axes in one figure, laid out directly.

``plotly.subplots`` builds the same in ten times the time, which is noticeable on a page of figures.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Panel(NamedTuple):
    """A place for a plot: its axes' references (x3, y3) and the ends of its domain (0..1)."""

    x: str
    y: str
    across: tuple[float, float]
    up: tuple[float, float]

    def axes(self, x: dict[str, Any], y: dict[str, Any]) -> dict[str, Any]:
        """Return this panel's two axes, with the given settings, as members of a layout."""
        return {
            f"xaxis{self.x[1:]}": {**x, "domain": list(self.across), "anchor": self.y},
            f"yaxis{self.y[1:]}": {**y, "domain": list(self.up), "anchor": self.x},
        }

    def title(self, text: str) -> dict[str, Any]:
        """Return an annotation that stands centred above this panel."""
        return {
            "text": text,
            "x": sum(self.across) / 2,
            "y": self.up[1],
            "xref": "paper",
            "yref": "paper",
            "xanchor": "center",
            "yanchor": "bottom",
            "showarrow": False,
            "font": {"size": 11},
        }


def arrange(count: int, columns: int, *, gap: float, space: float) -> list[Panel]:
    """Return ``count`` panels row by row from the top left.

    ``gap`` (across) and ``space`` (up) are shares of a panel's own room that stay empty.
    """
    rows = -(-count // columns)
    width, height = 1 / (columns - gap), 1 / (rows - space)
    panels = []
    for place in range(count):
        row, column = divmod(place, columns)
        left, top = column * width, 1 - row * height
        number = str(place + 1) if place else ""
        across = (left, min(1.0, left + width * (1 - gap)))
        up = (max(0.0, top - height * (1 - space)), top)
        panels.append(Panel(f"x{number}", f"y{number}", across, up))
    return panels
