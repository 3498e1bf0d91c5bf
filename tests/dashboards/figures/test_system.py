import pandas as pd
import pytest

from dashboards.figures.system import (
    MAX_LINE_POINTS,
    NO_SYSTEM,
    get_system_info,
    system_figure,
    system_statistics,
)
from dashboards.figures.theme import message_of
from dashboards.files.frames import empty_training_output


def cores(count, ticks=4):
    rows = [
        (float(t), "CPUUtilization", f"cpu{c}", 10.0 * c)
        for t in range(ticks)
        for c in range(count)
    ]
    return pd.DataFrame(rows, columns=["timestamp", "dimension", "name", "value"])


def test_nothing_measured_is_a_sentence():
    system = empty_training_output().system
    assert message_of(system_figure(get_system_info(system))) == NO_SYSTEM
    assert system_statistics(system) == []


def test_panels_for_what_was_measured(output):
    info = get_system_info(output.system)
    assert {title: [line.name for line in lines] for title, lines in info.panels.items()} == {
        "CPU %": ["cpu0", "cpu1", "CPU mean"],
        "memory %": ["memory"],
        "process, MB": ["process memory"],
        "I/O wait %": ["I/O wait"],
        "network MB/s": ["received"],
    }
    (process,) = info.panels["process, MB"]
    assert process.values[0] == pytest.approx(400.0)
    assert process.values[-1] == pytest.approx(400 + 0.1 * (2 * 180 - 1))
    figure = system_figure(info)
    assert len(figure.data) == 7
    shown = [trace.name for trace in figure.data if trace.showlegend]
    assert shown == ["each core", "CPU mean"]
    titles = [figure.layout[f"yaxis{n}"].title.text for n in ("", 2, 3, 4, 5)]
    assert titles == list(info.panels)


def test_cpu_is_the_mean_over_cores_and_cores_sort_by_number():
    lines = get_system_info(cores(11)).panels["CPU %"]
    assert [line.name for line in lines][:3] == ["cpu0", "cpu1", "cpu2"]
    assert lines[-1].values.tolist() == pytest.approx([50.0] * 4)
    assert lines[-1].times.tolist() == [0.0, 1.0, 2.0, 3.0]


def test_a_gpu_gets_a_panel_of_its_own():
    gpu = cores(1).assign(dimension="GPUUtilization", name="gpu0")
    info = get_system_info(gpu)
    assert list(info.panels) == ["GPU %"]
    assert [trace.name for trace in system_figure(info).data] == ["GPU"]


@pytest.mark.parametrize("count", [1, 64])
def test_one_core_or_very_many_show_the_mean_only(count):
    info = get_system_info(cores(count, ticks=2_000 // count))
    (line,) = info.panels["CPU %"]
    assert line.name == "CPU mean"
    assert len(line.values) <= MAX_LINE_POINTS


def test_statistics_are_of_the_mean_over_cores():
    assert system_statistics(cores(3)) == [("CPU %", 10.0, 10.0, 10.0, 10.0, 10.0)]
    rows = pd.DataFrame(
        {
            "timestamp": [0.0, 1.0, 2.0],
            "dimension": "",
            "name": "ProcessMemoryBytes",
            "value": [1e6, 2e6, 4e6],
        }
    )
    ((name, top, _, _, middle, low),) = system_statistics(rows)
    assert (name, top, middle, low) == ("process memory, MB", 4.0, 2.0, 1.0)
