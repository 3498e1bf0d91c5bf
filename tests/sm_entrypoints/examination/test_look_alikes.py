import torch
from torch.nn import functional

from sm_entrypoints.examination.clock import Deadline
from sm_entrypoints.examination.look_alikes import LEAST_COSINE, look_alikes
from tests.sm_entrypoints.examination.pools import clipart, clouds, pool_of

NO_LIMIT = Deadline(None)
# Rows of the sample drawings.
VARIANTS = [(276, 449), (343, 454), (453, 571)]


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


def test_one_that_is_far_more_alike_than_any_other_is_found():
    """As crops of 10% are to their originals; many that are as alike are a kind."""
    features, labels = clouds([100] * 3, distance=3.0)
    noise = torch.randn(12, 32, generator=torch.Generator().manual_seed(1))
    features[200:206] = features[0:6] + 0.62 * noise[:6]
    labels[200:206] = labels[0:6]
    # Nine of train around each of three of valid, none of them nearer than the others.
    for number in range(3):
        features[210 + number] = 3 * features[10 + number]
        around = torch.randn(9, 32, generator=torch.Generator().manual_seed(number + 2))
        features[20 + 9 * number : 29 + 9 * number] = features[210 + number] + 1.8 * around
    found = look_alikes(pool_of(features, labels, [200, 50, 50]), NO_LIMIT)
    assert {(each.row, each.other) for each in found.pairs} >= {(n, 200 + n) for n in range(6)}
    assert any(each.cosine < LEAST_COSINE for each in found.pairs)
    assert not {each.other for each in found.pairs if each.cosine < found.bar} & {210, 211, 212}


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
    assert sum(each.cosine >= found.bar for each in found.pairs) <= 8
    # Two signs with trams and buses, a flute and an oboe, the man and the woman of a traffic light:
    # each time one drawing with small changes, and nothing else stands out so.
    below = [(each.row, each.other) for each in found.pairs if each.cosine < found.bar]
    assert sorted(below) == sorted(VARIANTS)


def test_one_picture_a_split():
    rows = functional.normalize(torch.randn(2, 8, generator=torch.Generator().manual_seed(0)))
    assert look_alikes(pool_of(rows, torch.tensor([0, 1]), [1, 1]), NO_LIMIT).pairs == ()
