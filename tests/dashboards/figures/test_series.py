import numpy as np
import pytest

from dashboards.figures.series import (
    bucket_means,
    bucket_starts,
    compact,
    downsample,
    is_logarithmic,
)


def test_short_series_stay_as_they_are():
    x, y = np.arange(10.0), np.arange(10.0) ** 2
    assert downsample(x, y, 10)[1] is y


def test_downsampling_keeps_every_outlier_and_the_order():
    x, y = np.arange(100_000.0), np.zeros(100_000)
    y[[77, 50_001, 99_999]] = 5, -7, 9
    shown_x, shown_y = downsample(x, y, 2_000)
    assert len(shown_x) <= 2_000
    assert {5, -7, 9} <= set(shown_y)
    assert (np.diff(shown_x) > 0).all()


def test_downsampling_prefers_numbers_to_nan():
    y = np.full(1_000, np.nan)
    y[500] = 3.0
    _, shown = downsample(np.arange(1_000.0), y, 20)
    assert 3.0 in shown
    assert np.isnan(shown).any()


@pytest.mark.parametrize(("x", "y", "points"), [([1.0], [1.0, 2.0], 10), ([1.0], [1.0], 1)])
def test_downsampling_refuses_what_it_cannot_do(x, y, points):
    with pytest.raises(ValueError, match="but got"):
        downsample(np.asarray(x), np.asarray(y), points)


def test_bucket_means_add_up_and_ignore_nan():
    values = np.column_stack([np.arange(7.0), np.ones(7)])
    values[0, 1] = np.nan
    means = bucket_means(values, 3)
    starts = bucket_starts(7, 3)
    assert starts.tolist() == [0, 2, 4]
    assert means[:, 0].tolist() == [0.5, 2.5, 5.0]
    assert means[:, 1].tolist() == [1.0, 1.0, 1.0]


def test_bucket_of_nan_alone_is_nan():
    values = np.array([[np.nan], [np.nan], [1.0], [3.0]])
    assert np.isnan(bucket_means(values, 2)[0, 0])
    assert bucket_means(values, 2)[1, 0] == 2.0


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1e-5, 1e-2], True),
        ([1, 2], False),
        ([0, 100], False),
        ([np.nan, 1, 60], True),
        ([], False),
    ],
)
def test_only_wide_positive_values_are_logarithmic(values, expected):
    assert is_logarithmic(np.asarray(values, dtype="float64")) is expected


def test_compact_numbers_keep_their_digits_and_gaps():
    values = np.array([0.0, 123456.0, -0.00123456, np.nan, np.inf, 5e-300, 12.0])
    assert compact(values) == [0, 123500, -0.001235, None, None, 5e-300, 12]
    assert compact(np.array([1234567.0, 0.25]), digits=9) == [1234567, 0.25]
    assert compact(np.array([])) == []


def test_losses_that_exploded_stay_floats_that_json_can_hold():
    shown = compact(np.array([1.977e23, 6.454e35, 5.0, np.inf]))
    assert shown == [pytest.approx(1.977e23), pytest.approx(6.454e35), 5, None]
    assert [type(value) for value in shown] == [float, float, int, type(None)]
