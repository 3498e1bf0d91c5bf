"""How many threads one picture gets: what a probe found, only while it is asked."""

from __future__ import annotations

import time

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from sm_entrypoints.inference import Classifier, predict_fn
from sm_entrypoints.models.threads import threads, threads_for_one


class Sleeping(nn.Module):
    """Takes as long as it is told for so many threads; keeps with how many it was asked."""

    def __init__(self, seconds: dict[int, float]) -> None:
        super().__init__()
        self.seconds, self.seen = seconds, list[int]()

    def forward(self, batch: Tensor) -> Tensor:
        self.seen.append(torch.get_num_threads())
        time.sleep(self.seconds[self.seen[-1]])
        return torch.zeros(len(batch), 2)


@pytest.mark.parametrize(
    ("seconds", "count"),
    [({1: 0.02, 2: 0.002}, 2), ({1: 0.01, 2: 0.03}, 1), ({1: 0.02, 2: 0.019}, 1)],
)
def test_all_threads_only_where_they_save_a_lot(seconds: dict[int, float], count: int) -> None:
    network = Sleeping(seconds)
    with threads(2):
        assert threads_for_one(network, 8) == count
        assert torch.get_num_threads() == 2
    assert set(network.seen) == {1, 2}


def test_a_slow_network_is_asked_twice() -> None:
    network = Sleeping({1: 0.2, 2: 0.35})
    with threads(2):
        assert threads_for_one(network, 8) == 1
    assert network.seen == [1, 2]


def test_one_thread_has_nothing_to_choose() -> None:
    network = Sleeping({})
    with threads(1):
        assert threads_for_one(network, 8) == 1
    assert network.seen == []


def test_one_picture_gets_those_found_and_a_batch_all() -> None:
    network = Sleeping({1: 0, 2: 0})
    model = Classifier(
        network=network,
        labels=("a", "b"),
        prepare=lambda _: torch.zeros(3, 4, 4),
        device=torch.device("cpu"),
        top_k=2,
        threads=1,
    )
    with threads(2):
        predict_fn(Image.new("RGB", (4, 4)), model)
        predict_fn.whippet_batch.predict([torch.zeros(3, 4, 4)] * 2, model)  # type: ignore[attr-defined]
        assert torch.get_num_threads() == 2
    assert network.seen == [1, 2]
