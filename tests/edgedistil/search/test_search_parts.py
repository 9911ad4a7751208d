"""Parts of a search that need no classifier: settings, stages, and the choice."""

import shutil
from contextlib import ExitStack
from dataclasses import replace

import pytest

from edgedistil.search.choosing import Candidate, Limits, explain_failure, smallest_within
from edgedistil.search.digests import digest_of
from edgedistil.search.settings import SearchSettings
from edgedistil.search.stages import open_stages, opened_stages
from edgedistil.search.starts import read_starts
from edgedistil_converters.files import sole_use
from edgedistil_runtime.errors import DataError, OutputError


def test_products_are_made_once_for_each_digest(tmp_path):
    stages = open_stages(tmp_path / "new")

    def make(path):
        path.write_text("x")
        return {"made": True}

    stages.make("a", "1", make)
    assert stages.is_made("a", "1") and not stages.is_made("a", "2") and not stages.is_made("b", "1")
    stages.path("a").unlink()
    assert not stages.is_made("a", "1")
    stages.checkpoint("a").write_text("state")
    with pytest.raises(ZeroDivisionError):
        stages.make("a", "1", lambda _: 1 / 0)
    assert stages.checkpoint("a").exists()  # of the same inputs
    with pytest.raises(ZeroDivisionError):
        stages.make("a", "2", lambda _: 1 / 0)
    assert not stages.checkpoint("a").exists()
    assert stages.make("facts", "1", lambda _: {"made": False}) == {"made": False}
    assert stages.is_made("facts", "1")


def refuse(_):
    raise DataError("other labels")


def refuse_after_text(path):
    path.write_text("x")
    raise DataError("another encoder")


def refuse_after_state(path):
    path.with_name(f"{path.name}.training.npz").write_text("x")
    raise DataError("the loss is not finite")


@pytest.mark.parametrize("is_there", [True, False])
def test_an_error_before_anything_is_made_leaves_what_was_there(tmp_path, is_there):
    target = tmp_path / "new"
    if is_there:
        target.mkdir()
    with pytest.raises(DataError), opened_stages(target), opened_stages(target) as stages:
        stages.make("teacher", "1", refuse)
    assert sorted(tmp_path.rglob("*")) == ([target] if is_there else [])


def test_a_folder_that_another_search_uses_is_kept(tmp_path):
    other = ExitStack()

    def begin(path):
        assert other.enter_context(sole_use(path.parent))
        refuse(path)

    with pytest.raises(DataError), opened_stages(tmp_path / "new") as stages:
        stages.make("teacher", "1", begin)
    assert stages.folder.is_dir()
    other.close()


def test_a_folder_that_is_gone_does_not_hide_the_error(tmp_path):
    def remove(path):
        shutil.rmtree(tmp_path / "new")
        refuse(path)

    with pytest.raises(DataError), opened_stages(tmp_path / "new") as stages:
        stages.make("teacher", "1", remove)


@pytest.mark.parametrize("make", [refuse_after_text, refuse_after_state])
def test_what_was_made_before_an_error_is_kept(tmp_path, make):
    with pytest.raises(DataError), opened_stages(tmp_path / "new") as stages:
        stages.make("teacher", "1", make)
    assert len(list((tmp_path / "new" / "stages").iterdir())) == 3  # with two marks


def test_facts_that_were_found_before_an_error_are_kept(tmp_path):
    stages = open_stages(tmp_path / "new")
    assert stages.is_empty()
    stages.make("teacher", "1", lambda _: {"vocabulary": 5})
    assert not stages.is_empty()
    with pytest.raises(DataError), opened_stages(tmp_path / "new"):
        refuse(None)
    assert stages.is_made("teacher", "1")


@pytest.mark.parametrize("content", ["file", "folder", "stages"])
def test_a_directory_with_something_else_is_refused(tmp_path, content):
    target = tmp_path / "mine"
    if content == "file":
        target.write_text("x")
    else:
        inner = target if content == "folder" else target / "stages"
        inner.mkdir(parents=True)
        (inner / "thesis.txt").write_text("x")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OutputError, match="directory"):
        open_stages(target)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"budget_mb": 0}, "budget_mb"),
        ({"budget_ms": -1.0}, "budget_ms"),
        ({"budget_mb": float("inf")}, "budget_mb"),
        ({"within": -0.1}, "within"),
        ({"students": ()}, "students"),
        ({"students": ("tiny", "tiny")}, "students"),
        ({"schemes": ("int9",)}, "schemes"),
        ({"augmented_per_text": -1}, "augmented_per_text"),
        ({"augmented_per_text": ()}, "augmented_per_text"),
        ({"augmented_per_text": (2, 0, 2)}, "augmented_per_text"),
        ({"augmented_per_text": (2, -1)}, "augmented_per_text"),
        ({"epochs": 0}, "epochs"),
    ],
)
def test_settings_are_checked(changes, named):
    with pytest.raises(DataError, match=named):
        SearchSettings(**{"budget_mb": 1, **changes})


@pytest.mark.parametrize(
    "presets",
    [
        ("b/intents_2", "a/intents", "b/intents"),
        ("a/intents", "b/intents_2", "b/intents"),
        ("a/teacher", "b/teacher", "a/student_teacher"),
        ("a/stages", "a/teacher_answers"),
    ],
)
def test_each_student_has_a_name_that_nothing_else_has(presets):
    names = [start.name for start in read_starts(presets)]
    assert len({*names, "stages", "teacher", "teacher_answers"}) == len(presets) + 3


def test_the_choice_is_the_smallest_then_the_fastest():
    limits = Limits(1000, 2.0, 0.9, 1.0)
    files = [
        Candidate("slow", 100, 2.1, 0.9),
        Candidate("bad", 200, 1.0, 0.889),
        Candidate("b", 300, 1.5, 0.89),
        Candidate("a", 300, 1.0, 0.89),
        Candidate("large", 1001, 1.0, 1.0),
    ]
    assert smallest_within(files, limits).name == "a"
    assert smallest_within(files, replace(limits, ms=None)).name == "slow"
    assert smallest_within([], limits) is None


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ([Candidate("a", 2000, 1.0, 0.9), Candidate("b", 900, 1.0, 0.7)], ["Nearest in the budget: b", "enough: a"]),
        ([Candidate("a", 2000, 9.0, 0.7)], ["Nearest: a, 0.00 MB, 9 ms, accuracy 70.00 %, 20.00 points below"]),
        ([Candidate("a", 900, 9.0, 0.9)], ["enough: a", "`budget_mb` or `budget_ms`"]),
        ([], ["No student is within"]),
    ],
)
def test_the_nearest_files_are_named(files, words):
    message = explain_failure(files, Limits(1000, 2.0, 0.9, 1.0))
    assert [word for word in words if word not in message] == []


def test_equal_settings_have_one_digest():
    whole, broken = SearchSettings(budget_mb=2, within=1), SearchSettings(budget_mb=2.0, within=1.0)
    assert digest_of(whole.to_dict()) == digest_of(broken.to_dict())
    assert digest_of(whole.to_dict()) != digest_of(replace(whole, budget_ms=1).to_dict())
