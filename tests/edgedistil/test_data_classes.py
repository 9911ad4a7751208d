"""Classes: their order, and the split that keeps all of them."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgedistil.data import LabelledTexts, TrainingData, class_names, split
from edgedistil_runtime.errors import DataError


def labelled(labels):
    return LabelledTexts(tuple(f"text {number}" for number in range(len(labels))), tuple(labels))


def test_class_names_are_sorted_and_numbers_by_value():
    assert class_names(["spam", "ham", "spam"]) == ("ham", "spam")
    assert class_names(["10", "2", "0"]) == ("0", "2", "10")
    assert class_names(["10", "2", "x"]) == ("10", "2", "x")


@given(
    counts=st.lists(st.integers(2, 30), min_size=2, max_size=6),
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 9),
)
def test_split_keeps_every_text_once_and_every_class_in_both_parts(counts, fraction, seed):
    data = labelled([f"c{number}" for number, count in enumerate(counts) for _ in range(count)])
    larger, smaller = split(data, fraction, seed=seed)
    assert sorted(larger.texts + smaller.texts) == sorted(data.texts)
    assert set(larger.labels) == set(smaller.labels) == set(data.labels)
    for label, count in Counter(data.labels).items():
        expected = min(max(round(count * fraction), 1), count - 1)
        assert Counter(smaller.labels)[label] == expected


def test_split_follows_its_seed():
    data = labelled(["a", "b"] * 50)
    assert split(data, 0.2, seed=1) == split(data, 0.2, seed=1)
    assert split(data, 0.2, seed=1) != split(data, 0.2, seed=2)


def test_class_with_one_example_cannot_be_split():
    with pytest.raises(DataError, match=r"at least two examples.*`validation`.*'rare'"):
        TrainingData.prepare(labelled(["a", "a", "b", "b", "rare"]), validation_fraction=0.1)


def test_class_with_one_example_is_fine_with_validation_data():
    data = TrainingData.prepare(labelled(["a", "b", "rare"]), validation=labelled(["a"]))
    assert data.labels == ("a", "b", "rare")


def test_single_class():
    with pytest.raises(DataError, match=r"single class.*'a'"):
        TrainingData.prepare(labelled(["a", "a", "a"]))


@pytest.mark.parametrize("part", ["validation", "test"])
def test_class_unknown_to_training(part):
    parts = {"validation": labelled(["a"]), part: labelled(["a", "new", "new"])}
    with pytest.raises(DataError, match=rf"{part} data.*Unknown: 'new' \(2 rows\)"):
        TrainingData.prepare(labelled(["a", "b"]), **parts)


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5])
def test_fraction_outside_its_bounds(fraction):
    with pytest.raises(DataError, match="between 0 and 1"):
        split(labelled(["a", "a"]), fraction, seed=0)
