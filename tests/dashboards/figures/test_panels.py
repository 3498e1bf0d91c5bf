import plotly.graph_objects as go
import pytest

from dashboards.figures.panels import arrange


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (5, 1), (4, 4), (7, 3)])
def test_panels_fill_the_figure_and_do_not_overlap(count, columns):
    panels = arrange(count, columns, gap=0.2, space=0.3)
    assert [panel.x for panel in panels][:2] == ["x", "x2"][:count]
    assert panels[0].across[0] == 0.0
    assert panels[0].up[1] == 1.0
    assert max(panel.across[1] for panel in panels) == pytest.approx(1.0)
    assert min(panel.up[0] for panel in panels) == pytest.approx(0.0)
    for place, panel in enumerate(panels):
        assert 0 <= panel.across[0] < panel.across[1] <= 1
        assert 0 <= panel.up[0] < panel.up[1] <= 1
        for other in panels[place + 1 :]:
            beside = panel.across[1] < other.across[0] or other.across[1] < panel.across[0]
            above = panel.up[0] > other.up[1] or other.up[0] > panel.up[1]
            assert beside or above


def test_axes_and_titles_are_a_layout_that_plotly_takes():
    layout = {}
    panels = arrange(3, 2, gap=0.2, space=0.3)
    for panel in panels:
        layout |= panel.axes({"nticks": 4}, {"automargin": True})
    layout["annotations"] = [panels[2].title("a <b>")]
    figure = go.Figure(layout=layout)
    assert figure.layout.xaxis3.anchor == "y3"
    assert figure.layout.yaxis2.domain == panels[1].up
    assert figure.layout.annotations[0].y == panels[2].up[1]
