"""A teacher and its answers, texts made from texts, and `edgedistil train` with a teacher."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from edgedistil.cli import main
from edgedistil.data import LabelledTexts, TrainingData
from edgedistil.distillation.answer_cache import AnswerCache
from edgedistil.distillation.augmentation import augment
from edgedistil.distillation.soft_targets import ask_teacher
from edgedistil.distillation.teacher import Teacher
from edgedistil.presets.loading import LabelledClassifier
from edgedistil_runtime.errors import DataError, PresetError

pytestmark = pytest.mark.training

LABELS = ("lights", "music", "weather")


def as_teacher(classifier, labels=LABELS, **options):
    return Teacher(LabelledClassifier(classifier, labels, "tiny", "tiny"), **options)


@pytest.fixture(scope="module")
def teacher(tiny_classifier):
    return as_teacher(tiny_classifier)


# The teacher


def test_logits_are_the_classifiers_in_the_order_of_the_data(teacher, tiny_classifier, texts):
    expected = tiny_classifier.predict(list(texts.texts), verbose=0)  # its outputs are logits
    given = teacher.logits(texts.texts, ("weather", "lights", "music"))
    np.testing.assert_allclose(given, expected[:, [2, 0, 1]], atol=1e-5)


def test_a_teacher_that_gives_probabilities_is_asked_for_logits(teacher, make_tiny_classifier, texts):
    other = as_teacher(make_tiny_classifier(activation="softmax"))
    np.testing.assert_allclose(other.logits(texts.texts, LABELS), teacher.logits(texts.texts, LABELS), atol=1e-5)


def test_a_long_text_is_answered_by_the_mean_of_its_pieces(tiny_classifier, teacher):
    words = ["turn the light on"] * 5
    [answer] = as_teacher(tiny_classifier, long_texts="windows").logits([" ".join(words)], LABELS)
    [cut] = teacher.logits([" ".join(words)], LABELS)
    assert np.abs(answer - cut).max() > 1e-3


@pytest.mark.parametrize(
    ("labels", "named"),
    [
        (("heating", "lights", "music", "weather"), "without 'heating'"),
        (("lights", "music"), "with also 'weather'"),
        (("heating", "lights", "music"), "without 'heating' and with also 'weather'"),
    ],
)
def test_other_labels_are_refused_and_named(teacher, labels, named):
    with pytest.raises(DataError, match=rf"`teacher`.*Received: tiny, {named}\."):
        teacher.logits(["play music"], labels)


def test_labels_in_another_spelling_are_the_same(make_tiny_classifier):
    teacher = as_teacher(make_tiny_classifier(num_classes=2), ("False", "True"))
    logits = teacher.logits(["play music"], ("False", "True"))
    np.testing.assert_array_equal(teacher.logits(["play music"], ("true", "false")), logits[:, ::-1])


def test_a_preset_without_a_head_or_with_sigmoids_is_no_teacher(tiny_classifier, make_tiny_classifier, tmp_path):
    tiny_classifier.backbone.save_to_preset(str(tmp_path))
    tiny_classifier.preprocessor.save_to_preset(str(tmp_path))
    with pytest.raises(PresetError, match="`teacher`.*has no trained head"):
        Teacher.load(tmp_path)
    with pytest.raises(PresetError, match="sigmoid"):
        as_teacher(make_tiny_classifier(activation="sigmoid"))


def test_coverage_counts_words(teacher):
    coverage = teacher.coverage(["turn the lights on", "включи свет !", "louder music"])
    assert (coverage.words, coverage.whole, coverage.unknown) == (9, 6, 2)  # loud ##er is spelled
    assert coverage.is_low
    assert teacher.coverage(["louder louder louder music"]).is_low
    assert not teacher.coverage(["turn the lights on", "play louder music !"]).is_low


# Its answers in files


def test_answers_are_used_again_but_not_for_others(teacher, make_tiny_classifier, texts, tmp_path, monkeypatch):
    cache = AnswerCache(tmp_path / "answers")
    asked = []
    monkeypatch.setattr(Teacher, "_answer", counted(Teacher._answer, asked))
    first = teacher.logits(texts.texts, LABELS, cache=cache)
    again = teacher.logits(texts.texts, LABELS[::-1], cache=cache)
    assert asked == [15]
    np.testing.assert_array_equal(again, first[:, ::-1])
    other = as_teacher(make_tiny_classifier(seed=8)).logits(texts.texts, LABELS, cache=cache)
    assert asked == [15, 15]
    assert np.abs(other - first).max() > 0.1
    as_teacher(make_tiny_classifier(), long_texts="windows").logits(texts.texts, LABELS, cache=cache)
    as_teacher(make_tiny_classifier()).logits(texts.texts, LABELS, cache=cache)  # the same as the first one
    teacher.logits(texts.texts[:7], LABELS, cache=cache)
    assert asked == [15, 15, 15, 7]


def counted(function, counts):
    def count(self, texts, *more):
        counts.append(len(texts))
        return function(self, texts, *more)

    return count


@pytest.mark.parametrize(
    "damage", [lambda content: content[:200], lambda content: b"", lambda content: b"PK" + content]
)
def test_a_damaged_file_is_computed_again(teacher, texts, tmp_path, damage):
    cache = AnswerCache(tmp_path)
    expected = teacher.logits(texts.texts, LABELS, cache=cache)
    [path] = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    np.testing.assert_array_equal(teacher.logits(texts.texts, LABELS, cache=cache), expected)
    assert path.read_bytes() == whole


def test_interrupted_answers_go_on(teacher, texts, tmp_path, monkeypatch):
    monkeypatch.setattr("edgedistil.distillation.answering._TEXTS_AT_ONCE", 4)
    whole = teacher.logits(texts.texts, LABELS)
    cache, asked, progress = AnswerCache(tmp_path), [], []

    def interrupt(done, _):
        if done == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        teacher.logits(texts.texts, LABELS, cache=cache, on_progress=interrupt)
    monkeypatch.setattr(Teacher, "_answer", counted(Teacher._answer, asked))
    found = teacher.logits(texts.texts, LABELS, cache=cache, on_progress=lambda *numbers: progress.append(numbers))
    assert (asked, progress) == ([4, 3], [(8, 15), (12, 15)])
    np.testing.assert_array_equal(found, whole)


# New texts


def test_new_texts_are_drawn_by_a_seed_from_the_words_of_their_class(texts):
    new = augment(texts, 4, seed=1)
    assert new == augment(texts, 4, seed=1) != augment(texts, 4, seed=2)
    assert 40 < len(new) <= 60
    assert len({*new, *texts.texts}) == len(new) + len(texts)
    assert not {*augment(texts, 4, seed=1, known=new)} & {*new}
    words = {}
    for text, label in zip(texts.texts, texts.labels, strict=True):
        words.setdefault(label, set()).update(text.split())
    assert all(any(set(text.split()) <= of_class for of_class in words.values()) for text in new)


def test_what_cannot_be_varied_is_left():
    assert augment(LabelledTexts(("on", " ", "off  "), ("a", "a", "b")), 3) == ()
    assert augment(LabelledTexts(("turn it on", "off"), ("a", "b")), 0) == ()


# What a student learns


def test_texts_of_the_data_are_left_out_and_the_others_are_answered(teacher, texts):
    data = replace(TrainingData.prepare(texts, validation_fraction=0.2), test=texts)
    unlabelled = (*texts.texts[:3], "is the music on", "some rain", "is the music on")
    answers = ask_teacher(teacher, data, unlabelled=unlabelled, augmented_per_text=2, seed=3)
    soft = answers.soft_targets
    assert answers.left_out == 4
    assert soft.more_texts[:2] == ("is the music on", "some rain")
    assert not set(soft.more_texts) & set(texts.texts)
    assert answers.texts == {"training": 12, "unlabelled": 2, "augmented": len(soft.more_texts) - 2}
    np.testing.assert_allclose(soft.logits, teacher.logits(data.training.texts, LABELS), atol=1e-6)
    np.testing.assert_allclose(soft.more_logits, teacher.logits(soft.more_texts, LABELS), atol=1e-5)
    assert answers.validation["rows"] == 3
    assert answers.warnings() == ()
    assert "unlabelled" in ask_teacher(teacher, data, unlabelled=["включи свет"]).warnings()[0]


# The command


SMALL = (
    *("--from-scratch", "tiny", "--num-layers", "1", "--hidden-dim", "16", "--num-heads", "2"),
    *("--intermediate-dim", "16", "--vocabulary-size", "150", "--batch-size", "8", "--sequence-length", "12"),
    *("--validation-fraction", "0.2", "--epochs", "2"),
)


@pytest.fixture
def teacher_preset(make_tiny_classifier, tmp_path):
    directory = tmp_path / "teacher"
    make_tiny_classifier().save_to_preset(str(directory))
    (directory / "labels.txt").write_text("".join(f"{label}\n" for label in LABELS), encoding="utf-8")
    return directory


def train(*arguments):
    return CliRunner().invoke(main, ["train", *SMALL, *map(str, arguments)])


def test_a_student_is_trained_from_the_command_line(teacher_preset, csv_file, tmp_path):
    more = tmp_path / "more.csv"
    more.write_text("text\nthe music is on\nplay music\n\nsome rain\n", encoding="utf-8")
    given = ("--train-data", csv_file, "--teacher", teacher_preset, "--unlabelled", more, "--augment", "2")
    done = train(*given, "--temperature", "3", "-o", tmp_path / "student", "--json")
    assert done.exit_code == 0, done.stderr
    record = json.loads((tmp_path / "student" / "training.json").read_text())
    teacher = record["teacher"]
    assert json.loads(done.stdout.splitlines()[-1])["teacher"] == teacher
    assert teacher["name"] == "teacher"
    assert (teacher["texts"]["training"], teacher["texts"]["unlabelled"], teacher["left_out"]) == (12, 2, 1)
    assert 12 < teacher["texts"]["augmented"] <= 24
    [file] = teacher["unlabelled_files"]
    assert (file["file"], file["rows"]) == ("more.csv", 3)
    assert (record["settings"]["temperature"], record["settings"]["teacher_share"]) == (3.0, 0.9)
    assert "Distilled from `teacher`" in (tmp_path / "student" / "README.md").read_text(encoding="utf-8")
    assert not (tmp_path / ".student.training.npz").exists()

    answers = sorted((tmp_path / ".teacher_answers").iterdir())
    times = [path.stat().st_mtime_ns for path in answers]
    options = ("--teacher-share", "1", "--distillation-loss", "mse", "--vector-loss", "0.5")
    again = train(*given, *options, "-o", tmp_path / "other")
    assert again.exit_code == 0, again.stderr
    assert "teacher teacher: answered texts: 12 training, 2 unlabelled" in again.stdout
    assert [path.stat().st_mtime_ns for path in answers] == times
    assert json.loads((tmp_path / "other" / "training.json").read_text())["settings"]["vector_loss"] == 0.5
    assert "with a weight of 0.5" in (tmp_path / "other" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--unlabelled", "empty.csv"), "empty.csv is empty"),
        (("--unlabelled", "header.csv"), "header.csv has no example"),
        (("--unlabelled", "no.csv"), "There is no data file no.csv"),
        (("--temperature", "0"), "--temperature must be a number above 0"),
        (("--vector-loss", "-1"), "--vector-loss must be a number from 0 up"),
        (("-o", "teacher", "--force"), "would replace what it is made of"),
        (("--validation-data", "other.csv"), "must have examples"),
        (("--train-data", "other.csv"), "A teacher (--teacher) must have the labels of the training data"),
    ],
)
def test_what_cannot_be_distilled_is_refused(teacher_preset, csv_file, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.csv").touch()
    (tmp_path / "header.csv").write_text("text\n\n", encoding="utf-8")
    (tmp_path / "other.csv").write_text("text,label\n" + "on,a\noff,b\n" * 3, encoding="utf-8")
    done = train("--train-data", csv_file, "--teacher", "teacher", "-o", "student", *options)
    assert done.exit_code == 1
    assert message in done.stderr
    assert not (tmp_path / "student").exists()


def test_options_that_need_a_teacher_are_refused_without_one(csv_file, tmp_path):
    options = ("--unlabelled", csv_file, "--augment", "1", "--teacher-share", "0.5")
    done = train("--train-data", csv_file, "-o", tmp_path / "student", *options)
    assert done.exit_code == 2
    assert "--unlabelled, --augment, --teacher-share need --teacher" in done.stderr


def test_texts_in_another_language_give_a_warning(teacher_preset, csv_file, tmp_path):
    more = tmp_path / "more.csv"
    more.write_text("text\nвключи свет\n", encoding="utf-8")
    given = ("--train-data", csv_file, "--teacher", teacher_preset, "--unlabelled", more, "--epochs", "1")
    done = train(*given, "-o", tmp_path / "student")
    assert done.exit_code == 0, done.stderr
    assert "Warning: The vocabulary of the teacher teacher has 0 % of the words of the unlabelled texts" in done.stderr
