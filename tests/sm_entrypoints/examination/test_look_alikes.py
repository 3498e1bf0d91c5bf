import torch
from torch.nn import functional

from sm_entrypoints.examination.clock import Deadline
from sm_entrypoints.examination.look_alikes import LEAST_COSINE, look_alikes
from tests.sm_entrypoints.examination.pools import clipart, clouds, pool_of

NO_LIMIT = Deadline(None)


def test_planted_look_alikes_are_found_across_splits_only():
    features, labels = clouds([100] * 3, distance=3.0)
    noise = 0.1 * torch.randn(12, 32, generator=torch.Generator().manual_seed(1))
    # Rows 0 to 199 are train; six of valid look like one of train, six of train like each other.
    features[200:206] = features[0:6] + noise[:6]
    features[20:26] = features[10:16] + noise[6:]
    labels[200:206], labels[20:26] = labels[0:6], labels[10:16]
    found = look_alikes(pool_of(features, labels, [200, 50, 50]), NO_LIMIT)
    assert {(each.row, each.other) for each in found.pairs} == {(n, 200 + n) for n in range(6)}
    assert [each.cosine for each in found.pairs] == sorted(
        (each.cosine for each in found.pairs), reverse=True
    )


def test_copies_are_for_the_data_check():
    features, labels = clouds([100] * 3, distance=3.0)
    features[250] = features[7]
    assert look_alikes(pool_of(features, labels, [200, 50, 50]), NO_LIMIT).pairs == ()


def test_the_bar_rises_where_all_pictures_are_alike():
    """Thirty tight clouds: the nearest in the own split is as near as any other."""
    features, labels = clouds([20] * 30, distance=60.0)
    found = look_alikes(pool_of(features, labels, [400, 100, 100]), NO_LIMIT)
    assert found.bar > LEAST_COSINE
    # Some pass by chance, not all of them.
    assert len(found.pairs) < 30


def test_few_of_the_sample_drawings_are_accused():
    features, labels, sizes = clipart()
    found = look_alikes(pool_of(features, labels, sizes, projected=True), NO_LIMIT)
    assert len(found.pairs) <= 8


def test_one_picture_a_split():
    rows = functional.normalize(torch.randn(2, 8, generator=torch.Generator().manual_seed(0)))
    assert look_alikes(pool_of(rows, torch.tensor([0, 1]), [1, 1]), NO_LIMIT).pairs == ()
