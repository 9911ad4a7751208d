"""What the report is made of: colours, markup, axes, points, and the texts that changed."""

import re

import numpy as np
import pytest

from edgedistil.data import LabelledTexts
from edgedistil.measuring.mistakes import Answers, confident_mistakes, count_changes
from edgedistil.report.axes import fitted_axis
from edgedistil.report.markup import Markup, element
from edgedistil.report.plots import Point, scatter
from edgedistil.report.style import DARK, LIGHT, contrast, variables
from edgedistil.scores import evaluate_labels


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_contrast(theme):
    """WCAG 2.2: 4.5 for text, 3 for marks (success criteria 1.4.3 and 1.4.11)."""
    colors = variables(theme)
    for ground in ("surface", "card"):
        for text in ("ink", "muted", "m1"):
            assert contrast(colors[text], colors[ground]) >= 4.5
    for mark in ("m1", "m2", "m3", "m4", "m5", "m6"):
        assert contrast(colors[mark], colors["surface"]) >= 3
    steps = [name for name in colors if f"t{name}" in colors]
    assert len(steps) == 16
    for step in steps:
        assert contrast(colors[f"t{step}"], colors[step]) >= 4.5
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


def test_text_is_escaped_and_markup_is_not():
    inner = element("b", "<", Markup("<i></i>"), None, 3)
    assert inner == "<b>&lt;<i></i>3</b>"
    assert element("p", inner, class_='"x', aria_label="é", hidden=True, title=None) == (
        '<p class="&quot;x" aria-label="é" hidden><b>&lt;<i></i>3</b></p>'
    )
    assert element("rect", x=1.005, y=2.0) == '<rect x="1" y="2"></rect>'


@pytest.mark.parametrize(
    ("values", "has_zero", "is_logarithmic"),
    [
        ((0.88, 0.9), False, False),
        ((0.0, 1.0), False, False),
        ((0.5, 0.5), False, False),
        ((1.0, 2.4), True, False),
        ((0.3, 270.0), True, True),
        ((1e-3, 1e4), True, True),
        ((0.0, 5.0), True, False),
    ],
)
def test_axes_hold_their_values(values, has_zero, is_logarithmic):
    axis = fitted_axis(values, 50, 400, has_zero=has_zero, limits=(0.0, 1.0 if max(values) <= 1 else 1e9))
    assert axis.is_logarithmic == is_logarithmic
    assert axis.low <= min(values) <= max(values) <= axis.high
    assert 2 <= len(axis.ticks) <= 12
    assert all(49.9 <= axis.at(tick) <= 400.1 for tick in axis.ticks)
    assert list(axis.ticks) == sorted(set(axis.ticks))
    assert axis.low == 0 or is_logarithmic or not has_zero
    assert axis.at(axis.low) == pytest.approx(50) and axis.at(axis.high) == pytest.approx(400)


def test_points_lie_where_their_numbers_are():
    points = [Point("a", 0, 1.0, 0.9, 0.88, 0.92), Point("b", 1, 2.0, 0.8, 0.78, 0.82)]
    svg = scatter(points, None, x_label="MB", y_label="accuracy", title="t", key="k")
    x, y = map(float, re.search(r'<circle cx="([\d.]+)" cy="([\d.]+)"', svg).groups())
    ticks = {text: float(y) - 4 for y, text in re.findall(r'y="([\d.]+)" text-anchor="end"[^>]*>([\d.]+)<', svg)}
    low, high = min(ticks, key=float), max(ticks, key=float)
    share = (float(low) + (ticks[low] - y) / (ticks[low] - ticks[high]) * (float(high) - float(low))) / 100
    assert share == pytest.approx(0.9, abs=1e-3)
    across = {text: float(x) for x, text in re.findall(r'<text x="([\d.]+)" y="260" [^>]*>([\d.]+)<', svg)}
    assert x == pytest.approx(across["1"], abs=0.1)


def test_changes_by_hand():
    examples = LabelledTexts(("t1", "t2", "t3", "t4", "t5"), ("a", "a", "b", "b", "c"))
    changes = count_changes(examples, Answers(("a", "a", "a", "b", "a")), Answers(("a", "b", "b", "b", "b")), 2)
    assert (changes.same, changes.broken, changes.repaired, changes.otherwise) == (2, 1, 1, 1)
    assert [(one.text, one.right, one.reference, one.given) for one in changes.examples] == [
        ("t2", "a", "a", "b"),
        ("t3", "b", "a", "b"),
    ]


def test_changed_texts_that_the_reference_is_surest_of_come_first():
    examples = LabelledTexts(("t1", "t2", "t3", "t4"), ("a", "a", "a", "b"))
    reference = Answers(("a", "a", "a", "a"), (0.5, 0.8125, 0.75, 0.9999999))
    given = Answers(("b", "b", "b", "b"), (0.9, 0.6, 0.7, 0.25))
    found = count_changes(examples, reference, given, 9).examples
    assert [(one.text, one.reference_score, one.score) for one in found] == [
        ("t2", 0.8125, 0.6),
        ("t3", 0.75, 0.7),
        ("t1", 0.5, 0.9),
        ("t4", 1.0, 0.25),  # repaired: after all that are broken
    ]
    without = count_changes(examples, reference, Answers(given.labels), 1).examples
    assert [(one.text, one.reference_score, one.score) for one in without] == [("t2", 0.8125, None)]


def test_confident_mistakes_by_hand():
    examples = LabelledTexts(("t1", "t2", "t3", "t4"), ("a", "b", "c", "c"))
    probabilities = np.array([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125], [0.0625, 0.9375, 0], [0.25, 0.75, 0]], "float32")
    labels = ("b", "c", "a")  # a model's own order
    found = confident_mistakes(examples, probabilities, labels, 20)
    assert [(one.text, one.right, one.given, one.score, one.right_score) for one in found] == [
        ("t2", "b", "c", 0.75, 0.125),
        ("t1", "a", "b", 0.5, 0.25),
    ]
    assert confident_mistakes(examples, probabilities, labels, 1) == found[:1]
    assert confident_mistakes(examples, probabilities, labels, 0) == ()


def test_long_texts_are_shortened():
    texts = ("x" * 200, "y" * 201, "z" * 198 + " more")
    examples, sure = LabelledTexts(texts, ("a", "a", "a")), np.array([[0.25, 0.75]] * 3, "float32")
    shown = [one.text for one in confident_mistakes(examples, sure, ("a", "b"), 9)]
    assert shown == ["x" * 200, "y" * 199 + "…", "z" * 198 + "…"]
    changes = count_changes(examples, Answers("aaa"), Answers("bbb"), 9)
    assert [one.text for one in changes.examples] == shown


def test_confused_pairs_by_hand():
    evaluation = evaluate_labels("aabbbcc", "abaabcb", "abc")
    assert [(pair.right, pair.given, pair.texts) for pair in evaluation.confused_pairs()] == [
        ("b", "a", 2),
        ("a", "b", 1),
        ("c", "b", 1),
    ]
    assert evaluate_labels("ab", "ab", "ab").confused_pairs() == ()
    many = [chr(97 + number) for number in range(26)]
    assert len(evaluate_labels(many, [*many[1:], "a"], many).confused_pairs()) == 20
