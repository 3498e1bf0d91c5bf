import numpy as np
import pytest

from sm_entrypoints.examination.clock import Deadline
from sm_entrypoints.examination.learning_curve import _gain, learning_curve
from sm_entrypoints.examination.wrong_labels import judge
from tests.sm_entrypoints.examination.pools import clipart, clouds, mislabelled, pool_of

NO_LIMIT = Deadline(None)


def curve_of(pool):
    return learning_curve(pool, judge(pool, NO_LIMIT), NO_LIMIT)


@pytest.mark.slow
def test_the_curve_of_real_pictures_rises():
    features, labels, sizes = clipart()
    curve = curve_of(pool_of(features, labels, sizes, projected=True))
    assert [point.pictures for point in curve.points] == [58, 117, 234, 467]
    accuracies = [point.accuracy for point in curve.points]
    assert accuracies == sorted(accuracies)
    assert accuracies[-1] - accuracies[0] > 0.1
    assert curve.gain is not None
    assert 0.005 < curve.gain < 0.08
    assert 0 < curve.spread < 0.05


def test_what_was_learned_already_brings_nothing():
    features, labels = clouds([100] * 4, distance=12.0)
    curve = curve_of(pool_of(features, labels, [300, 50, 50]))
    assert curve.points[-1].accuracy > 0.99
    assert curve.gain == pytest.approx(0.0, abs=0.003)


@pytest.mark.parametrize("exponent", [0.3, 0.5, 1.0])
@pytest.mark.parametrize("floor", [0.0, 0.1])
def test_the_gain_of_a_known_rate(exponent, floor):
    sizes = np.array([50.0, 100.0, 200.0, 400.0])
    errors = floor + 0.2 * (sizes / 400) ** -exponent
    assert _gain(sizes, errors) == pytest.approx(0.2 * (1 - 2**-exponent), abs=0.004)


def test_errors_that_rise_promise_nothing():
    assert _gain(np.array([50.0, 100.0, 200.0]), np.array([0.1, 0.15, 0.2])) == 0.0


@pytest.mark.slow
def test_twice_as_many_bring_what_was_foretold():
    """Predict from half of the pictures what all of them bring, within the range told."""
    features, labels = clouds([400] * 4, distance=2.2)
    half = curve_of(pool_of(features[:800], labels[:800], [600, 100, 100]))
    whole = curve_of(pool_of(features, labels, [1200, 200, 200]))
    brought = whole.points[-1].accuracy - half.points[-1].accuracy
    assert half.gain == pytest.approx(brought, abs=max(2 * half.spread, 0.03))


def test_too_few_pictures_say_nothing():
    features, labels = clouds([10] * 3)
    curve = curve_of(pool_of(features, labels, [20, 5, 5]))
    assert (curve.gain, curve.why_not) == (None, "there are too few pictures")


def test_random_labels_say_nothing():
    features, labels = clouds([50] * 4)
    shuffled, _ = mislabelled(labels, 1.0, 4, seed=0)
    curve = curve_of(pool_of(features, shuffled.roll(17), [150, 25, 25]))
    assert curve.gain is None
    assert curve.why_not
