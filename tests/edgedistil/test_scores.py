import pytest

from edgedistil.scores import evaluate_labels
from edgedistil_runtime.errors import DataError


def test_scores_by_hand():
    scores = evaluate_labels(["a", "a", "a", "b", "b", "c"], ["a", "a", "b", "b", "c", "c"], ["a", "b", "c", "never"])
    assert scores.accuracy == pytest.approx(4 / 6)
    a, b, c, never = scores.classes
    assert (a.precision, a.recall, a.support) == (1.0, pytest.approx(2 / 3), 3)
    assert (b.precision, b.recall) == (0.5, 0.5)
    assert (c.precision, c.recall) == (0.5, 1.0)
    assert (never.f1, never.support) == (0.0, 0)
    assert scores.macro_f1 == pytest.approx((0.8 + 0.5 + 2 / 3) / 3)  # the class that never occurs does not count
    assert scores.confusion == ((2, 1, 0, 0), (0, 1, 1, 0), (0, 0, 1, 0), (0, 0, 0, 0))


def test_a_class_given_but_never_right_counts():
    assert evaluate_labels(["a", "a"], ["a", "b"], ["a", "b"]).macro_f1 == pytest.approx((2 / 3 + 0) / 2)


def test_labels_that_the_model_does_not_know():
    with pytest.raises(DataError, match=r"does not know: x.*model's labels: a, b"):
        evaluate_labels(["a", "x"], ["a", "a"], ["a", "b"])


def test_nothing_to_evaluate():
    with pytest.raises(DataError, match="no texts"):
        evaluate_labels([], [], ["a"])
