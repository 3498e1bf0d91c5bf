from __future__ import annotations

import pytest

from platforms.local.tuning.search_space import SearchSpaceError, search_space


def continuous(low: str, high: str, scaling: str = "Auto", name: str = "x") -> dict:
    each = {"Name": name, "MinValue": low, "MaxValue": high, "ScalingType": scaling}
    return {"ContinuousParameterRanges": [each]}


def integer(low: str, high: str, scaling: str = "Auto") -> dict:
    each = {"Name": "n", "MinValue": low, "MaxValue": high, "ScalingType": scaling}
    return {"IntegerParameterRanges": [each]}


def test_strings_round_trip_exactly():
    space = search_space(
        {
            **continuous("1e-5", "0.1", "Logarithmic", name="lr"),
            **integer("1", "8"),
            "CategoricalParameterRanges": [{"Name": "batch_size", "Values": ["16", "32"]}],
        }
    )
    strings = {"n": "4", "lr": "0.0003217", "batch_size": "32"}
    assert space.encode(space.decode(strings)) == strings
    assert list(space.distributions) == ["n", "lr", "batch_size"]


@pytest.mark.parametrize("value", ["0.5", "0.9", "0.99", "0.999"])
def test_reverse_logarithmic_mirrors_and_stays_in_range(value):
    space = search_space(continuous("0.5", "0.999", "ReverseLogarithmic"))
    assert float(space.encode(space.decode({"x": value}))["x"]) == pytest.approx(float(value))
    drawn = space.decode({"x": value})["x"]
    low, high = space.distributions["x"].low, space.distributions["x"].high  # type: ignore[attr-defined]
    assert low <= drawn <= high
    assert space.distributions["x"].log  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("ranges", "log"),
    [
        (continuous("1e-4", "1e-2", "Auto"), True),
        (continuous("0.1", "0.2", "Auto"), False),
        (continuous("0.0", "1.0", "Auto"), False),
        (continuous("-5", "5", "Linear"), False),
        (continuous("1", "2", "Logarithmic"), True),
        (integer("1", "1000", "Auto"), True),
        (integer("1", "10", "Auto"), False),
        (integer("16", "256", "Logarithmic"), True),
    ],
)
def test_scaling_decides_the_distribution(ranges, log):
    (distribution,) = search_space(ranges).distributions.values()
    assert distribution.log is log  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("ranges", "words"),
    [
        (continuous("1e-7", "1e-9", name="eps"), "'eps': MinValue=1e-7 must be less than"),
        (continuous("0.1", "0.1"), "must be less than"),
        (integer("8", "1"), "'n': MinValue=8"),
        (integer("1.5", "3"), "'1.5' is not an integer"),
        (integer("1", "3", "ReverseLogarithmic"), "for continuous ranges"),
        (integer("0", "3", "Logarithmic"), "needs MinValue > 0"),
        (continuous("0", "1", "Logarithmic"), "needs MinValue > 0"),
        (continuous("0.1", "1.0", "ReverseLogarithmic"), "0 <= x < 1"),
        (continuous("a", "1"), "'a' is not a finite number"),
        (continuous("0", "inf"), "'inf' is not a finite number"),
        ({"CategoricalParameterRanges": [{"Name": "c", "Values": ["a", "a"]}]}, "no value twice"),
        ({**integer("1", "2"), **continuous("1", "2", name="n")}, "['n'] have more than one"),
        ({}, "ParameterRanges is empty"),
    ],
)
def test_impossible_ranges_name_the_hyperparameter(ranges, words):
    with pytest.raises(SearchSpaceError) as caught:
        search_space(ranges)
    assert words in str(caught.value)


@pytest.mark.parametrize("strings", [{"x": "3"}, {"y": "1"}, {"x": "nan"}])
def test_decoding_a_value_of_another_space_fails(strings):
    space = search_space(continuous("1", "2"))
    with pytest.raises(SearchSpaceError):
        space.decode(strings)


def test_decoding_an_unknown_category_fails():
    space = search_space({"CategoricalParameterRanges": [{"Name": "c", "Values": ["a", "b"]}]})
    with pytest.raises(SearchSpaceError, match="'z' is outside"):
        space.decode({"c": "z"})
