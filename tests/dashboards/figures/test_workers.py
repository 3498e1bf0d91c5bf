import pandas as pd
import pytest

from dashboards.figures.theme import message_of
from dashboards.figures.workers import (
    NO_WORKERS,
    get_operator_rows,
    get_workers_info,
    workers_figure,
)
from dashboards.files.frames import empty_training_output

EMPTY = empty_training_output()


def workers(rows):
    return pd.DataFrame(rows, columns=["pid", "started", "seconds", "samples"], dtype="float64")


def test_no_workers_and_no_operators():
    assert message_of(workers_figure(get_workers_info(EMPTY.workers))) == NO_WORKERS
    assert get_operator_rows(EMPTY.operators) == []


def test_workers_are_busy_while_they_make_batches():
    # One worker works all the time, the other the second half of it.
    rows = [(7, 100.0 + n, 1.0, 8) for n in range(20)] + [(9, 110.0 + n, 1.0, 8) for n in range(10)]
    info = get_workers_info(workers(rows))
    assert info.workers == ["worker 0 (pid 7)", "worker 1 (pid 9)"]
    assert (info.batches, info.samples) == ([20, 10], [160, 80])
    assert info.shares == pytest.approx([1.0, 0.5])
    assert info.busy[0] == pytest.approx([1.0] * info.busy.shape[1])
    half = [start < 10 - 20 / info.busy.shape[1] for start in info.starts]
    assert all(busy == 0 for busy, before in zip(info.busy[1], half, strict=True) if before)
    assert info.busy[1].mean() == pytest.approx(0.5)
    assert info.starts[0] == 0.0
    (heatmap,) = workers_figure(info).data
    assert heatmap.z.max() == 100


def test_batches_in_any_order_and_one_batch_alone():
    shuffled = workers([(7, 3.0, 1.0, 8), (7, 0.0, 1.0, 8), (7, 2.0, 1.0, 8), (7, 1.0, 1.0, 8)])
    assert get_workers_info(shuffled).busy == pytest.approx(1.0)
    alone = get_workers_info(workers([(7, 3.0, 0.0, None)]))
    assert (alone.batches, alone.samples) == ([1], [0])
    assert len(workers_figure(alone).data) == 1


def test_without_workers_the_training_process_made_the_batches():
    info = get_workers_info(workers([(7, 0.0, 1.0, 8), (7, 2.0, 1.0, 8)]), processes=0)
    assert info.workers == ["training process"]
    assert workers_figure(info).layout.yaxis.ticktext == ("training process",)


def test_operators_come_by_their_own_time(output):
    rows = get_operator_rows(output.operators)
    assert [row.name for row in rows[:2]] == ["aten::mkldnn_convolution", "aten::native_batch_norm"]
    assert rows[0].calls == 1060
    assert (rows[0].self_seconds, rows[0].total_seconds) == (1.31, 1.44)
    assert rows[0].share > rows[1].share > rows[-1].share
    assert len(rows) == 24
