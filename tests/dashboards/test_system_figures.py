import pandas as pd
import pytest

from dashboards.frames import empty_training_output
from dashboards.system_figures import NO_SYSTEM, get_system_info, system_figure
from dashboards.theme import message_of


def cores(count):
    rows = [
        (float(t), "CPUUtilization", f"cpu{c}", 10.0 * c) for t in range(4) for c in range(count)
    ]
    return pd.DataFrame(rows, columns=["timestamp", "dimension", "name", "value"])


def test_nothing_measured_is_a_sentence():
    info = get_system_info(empty_training_output().system)
    assert message_of(system_figure(info)) == NO_SYSTEM


def test_rows_for_what_was_measured(output):
    info = get_system_info(output.system)
    assert list(info.cores) == ["cpu0", "cpu1"]
    assert info.memory[1].max() == 41.0
    assert len(system_figure(info).data) == 5


def test_cpu_is_the_mean_over_cores_and_cores_sort_by_number():
    info = get_system_info(cores(11))
    assert info.cpu[1].tolist() == pytest.approx([50.0] * 4)
    assert list(info.cores)[1:3] == ["cpu1", "cpu2"]
    assert info.cpu[0].tolist() == [0.0, 1000.0, 2000.0, 3000.0]
    assert len(system_figure(info).data) == 12


def test_a_gpu_gets_a_row_of_its_own():
    gpu = cores(1).assign(dimension="GPUUtilization", name="gpu0")
    info = get_system_info(gpu)
    assert info.gpu[1].tolist() == [0.0] * 4
    assert [trace.name for trace in system_figure(info).data] == ["GPU"]


@pytest.mark.parametrize("count", [1, 64])
def test_one_core_or_very_many_show_the_mean_only(count):
    info = get_system_info(cores(count))
    assert info.cores == {}
    assert len(system_figure(info).data) == 1
