"""A search for the smallest student: what is made, chosen, written, made again, and refused."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from edgedistil.cli import main
from edgedistil.data import LabelledTexts, TrainingData, read_labelled_texts, read_texts
from edgedistil.search import making, run
from edgedistil.search.digests import file_digest
from edgedistil.search.page import step_rows
from edgedistil.search.record import read_record
from edgedistil.search.run import find_student, hold_out
from edgedistil.search.settings import SearchSettings
from edgedistil.search.stages import open_stages
from edgedistil.search.starts import StudentStart, read_starts
from edgedistil.sizes import BackboneSize
from edgedistil.training.settings import FROM_SCRATCH
from edgedistil_runtime import TextClassifier
from edgedistil_runtime.benchmarking.speed import BenchmarkSettings
from edgedistil_runtime.errors import BudgetError, DataError, OutputError

pytestmark = pytest.mark.training

SHORT = BenchmarkSettings(runs=1, starts=1, largest_sample=3)
ENDINGS = ("", " !", " ?", " now")


def write_presets(folder, texts, vocabulary):
    """`teacher`, trained; `same`, its backbone without a head; `narrow`, small and random; `train.csv`, `more.csv`."""
    import keras

    from edgedistil.builder import build_backbone, build_classifier, build_preprocessor
    from edgedistil.training.loop import train

    pairs = [(f"{text}{ending}", label) for ending in ENDINGS for text, label in zip(*texts, strict=True)]
    rows = "".join(f"{text},{label}\n" for text, label in dict.fromkeys(pairs))
    (folder / "train.csv").write_text(f"text,label\n{rows}", encoding="utf-8")
    (folder / "more.csv").write_text(
        "text\nturn off the music\nis the light on\nplay louder\nplay louder\nplay music\n"
    )
    data = TrainingData(read_labelled_texts(folder / "train.csv"))
    vocabulary = [*vocabulary, *(f"unused{number}" for number in range(400))]
    for name, layers, width in (("teacher", 2, 32), ("narrow", 1, 16)):
        keras.utils.set_random_seed(1)
        backbone = build_backbone(
            BackboneSize(layers, width, 2, 2 * width), vocabulary_size=len(vocabulary), max_sequence_length=16
        )
        classifier = build_classifier(backbone, 3, preprocessor=build_preprocessor(vocabulary, sequence_length=16))
        if name == "teacher":
            settings = replace(FROM_SCRATCH, epochs=15, batch_size=8, learning_rate=3e-3, sequence_length=16)
            train(classifier, data, settings)
        classifier.save_to_preset(str(folder / name))
    (folder / "teacher" / "labels.txt").write_text("lights\nmusic\nweather\n")
    shutil.copytree(folder / "teacher", folder / "same")
    for start in ("same", "narrow"):
        for file in ("task.json", "task.weights.h5"):
            (folder / start / file).unlink()


@pytest.fixture(scope="session")
def presets(made_once, texts, tiny_vocabulary):
    return made_once("search", lambda folder: write_presets(folder, (texts.texts, texts.labels), tiny_vocabulary))


@pytest.fixture(scope="session")
def settings(presets):
    return SearchSettings(
        budget_mb=1,
        within=5,
        teacher=str(presets / "teacher"),
        students=(str(presets / "same"), str(presets / "narrow")),
        epochs=2,
        sequence_length=16,
    )


@pytest.fixture(scope="session")
def data(presets):
    labelled = read_labelled_texts(presets / "train.csv")
    return hold_out(TrainingData(labelled, test=LabelledTexts(("play music", "raining"), ("music", "weather"))))


@pytest.fixture(scope="session")
def more(presets):
    return read_texts(presets / "more.csv")


@pytest.fixture(scope="session")
def made(made_once, data, settings, more):
    """A directory that a search wrote; not to be changed."""
    return made_once("found", lambda folder: find_student(data, settings, folder, unlabelled=more, benchmark=SHORT))


@pytest.fixture
def found(made, tmp_path):
    """A copy of it."""
    return shutil.copytree(made, tmp_path / "found")


@pytest.fixture
def trainings(monkeypatch):
    """Names of what is trained from now on."""
    started = []
    train = making.train

    def note(*args, checkpoint, **options):
        started.append(checkpoint.name.removesuffix(".training.npz"))
        return train(*args, checkpoint=checkpoint, **options)

    monkeypatch.setattr(making, "train", note)
    return started


# What is written


def test_the_smallest_file_within_the_limits_is_written(made, data):
    record = read_record(made)
    files = {file.name: file for file in record.files}
    assert files.keys() == {"same.pruned.int8.tflite", "narrow.pruned.int8.tflite"}
    assert files["narrow.pruned.int8.tflite"].size < files["same.pruned.int8.tflite"].size
    assert record.limits.gap(files["narrow.pruned.int8.tflite"].candidate) > 5  # random weights and two epochs
    assert record.chosen == "same.pruned.int8.tflite"
    chosen = record.chosen_file
    assert file_digest(made / "model.tflite") == chosen.sha256
    assert (made / "model.tflite").stat().st_size == chosen.size
    with TextClassifier(made / "model.tflite") as classifier:
        given = [answer.label for answer in classifier.classify_batch(data.validation.texts)]
    assert np.mean(np.array(given) == np.array(data.validation.labels)) == pytest.approx(chosen.accuracy)
    assert 0 < chosen.ms < 100


def test_the_preset_of_the_file_is_beside_it(made):
    from edgedistil.presets.loading import load_labelled_classifier

    record = read_record(made)
    [student] = [one for one in record.students if one.name == "same"]
    trained = load_labelled_classifier(made / "preset")
    assert trained.labels == ("lights", "music", "weather")
    assert trained.classifier.backbone.vocabulary_size == student.pruned.vocabulary < 60 < student.vocabulary
    training = json.loads((made / "preset" / "training.json").read_text())
    assert training["vocabulary_pruning"]["vocabulary_after"] == student.pruned.vocabulary
    assert training["teacher"]["texts"] == {"training": 48, "unlabelled": 3, "augmented": 0}
    assert training["parameters"] == student.pruned.parameters == trained.classifier.count_params()


def test_counts_and_test_data_are_reported(made):
    record = read_record(made)
    assert record.texts == {"training": 48, "validation": 12, "test": 2, "unlabelled": 3, "left_out": 2}
    assert record.teacher.name == "teacher" and not record.teacher.is_fine_tuned
    assert record.teacher.test_accuracy in (0, 0.5, 1) and record.test_accuracy in (0, 0.5, 1)
    assert "/" not in record.settings.teacher + "".join(record.settings.students)


def test_the_page_has_the_choice_and_the_steps(made):
    page = (made / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") > 4
    for words in ("The choice", "What each step bought", "chosen", "same, fewer pieces", "Accuracy against file size"):
        assert words in page, words
    assert "<script" not in page


def test_steps_are_compared_with_what_they_were_made_from(made):
    record = read_record(made)
    rows = {name: (size, accuracy, change) for name, size, accuracy, change in step_rows(record)}
    assert list(rows)[:4] == ["teacher", "same", "same, fewer pieces", "same.pruned.int8"]
    assert rows["narrow"][2] == pytest.approx(100 * (rows["narrow"][1] - rows["teacher"][1]))
    assert rows["narrow.pruned.int8"][2] == pytest.approx(
        100 * (rows["narrow.pruned.int8"][1] - rows["narrow, fewer pieces"][1])
    )


# What is made again


def test_a_second_call_reads_what_is_there(found, data, settings, more, monkeypatch):
    monkeypatch.setattr(run, "measure", None)  # would fail
    assert find_student(data, settings, found, unlabelled=more) == read_record(found)


def test_unlabelled_texts_that_are_all_in_the_data_are_named(found, data, settings, monkeypatch):
    monkeypatch.setattr(run, "_make", lambda *_: 1 / 0)
    warnings = []
    with pytest.raises(ZeroDivisionError):
        find_student(data, settings, found, unlabelled=data.training.texts[:2], on_warning=warnings.append)
    assert warnings == ["None of the 2 texts without labels is used: all are in the data, or repeated"]


def test_another_tolerance_chooses_among_the_students_that_are_there(found, data, settings, more, trainings):
    record = find_student(data, replace(settings, within=100), found, unlabelled=more, benchmark=SHORT)
    assert trainings == []
    assert record.chosen == "narrow.pruned.int8.tflite"
    assert file_digest(found / "model.tflite") == record.chosen_file.sha256
    assert json.loads((found / "preset" / "config.json").read_text())["config"]["hidden_dim"] == 16


def test_other_test_data_change_no_choice_and_no_student(found, data, settings, more, trainings):
    wrong = replace(data, test=LabelledTexts(("play music", "raining"), ("weather", "music")))
    before = read_record(found)
    record = find_student(wrong, settings, found, unlabelled=more, benchmark=SHORT)
    assert trainings == []
    assert record.chosen == before.chosen and record.test_accuracy != before.test_accuracy


def test_other_texts_make_students_again_and_no_teacher(found, data, settings, trainings):
    teacher = (found / "stages" / "teacher" / "config.json").stat().st_mtime_ns
    find_student(data, replace(settings, students=settings.students[:1]), found, benchmark=SHORT)
    assert trainings == ["same"]
    assert (found / "stages" / "teacher" / "config.json").stat().st_mtime_ns == teacher


def test_an_interrupted_search_goes_on_and_ends_alike(found, data, settings, more, monkeypatch, trainings):
    """Ctrl-C after the first epoch of the second student: the first one is kept, and so is that epoch."""
    before = {file.name: file.sha256 for file in read_record(found).files}
    stages = found / "stages"
    for path in (stages / "narrow", stages / "narrow.pruned", found / "preset"):
        shutil.rmtree(path)
    for path in (*stages.glob("narrow*"), *(path for path in found.iterdir() if path.is_file())):
        path.unlink()
    stop = making.ProgressReporter.on_epoch_end

    def interrupt(self, epoch, logs=None):
        stop(self, epoch, logs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(making.ProgressReporter, "on_epoch_end", interrupt)
        with pytest.raises(KeyboardInterrupt):
            find_student(data, settings, found, unlabelled=more, benchmark=SHORT)
    assert sorted(path.name for path in found.iterdir()) == ["stages"]
    assert not (stages / "narrow").exists()
    assert (stages / "narrow.training.npz").exists()
    assert not [path for path in found.rglob("*") if path.name.startswith(".")]

    find_student(data, settings, found, unlabelled=more, benchmark=SHORT)
    assert trainings == ["narrow", "narrow"]
    assert not (stages / "narrow.training.npz").exists()
    assert {file.name: file.sha256 for file in read_record(found).files} == before


def test_an_interruption_while_measuring_leaves_no_result(found, data, settings, more, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(run, "write_page", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            find_student(data, replace(settings, within=100), found, unlabelled=more, benchmark=SHORT)
    assert not (found / "distillation.json").exists()  # it would not be that of model.tflite
    find_student(data, settings, found, unlabelled=more, benchmark=SHORT)
    assert file_digest(found / "model.tflite") == read_record(found).chosen_file.sha256


def test_the_ablation_trains_the_chosen_student_on_less(found, data, settings, more, monkeypatch):
    learned = {}
    train = making.Workshop._train

    def note(self, start, name, digest, training, ask):
        if name == "same":
            return train(self, start, name, digest, training, ask)  # which is there
        answers = ask()
        learned[name] = dict(answers.texts) if answers else None
        return making.Made(found, digest, {"accuracy": 0.5 + len(learned) / 10})

    monkeypatch.setattr(making.Workshop, "_train", note)
    with_arms = replace(settings, has_ablation=True, students=settings.students[:1])
    record = find_student(data, with_arms, found, unlabelled=more, benchmark=SHORT)
    assert learned == {"same.labels": None, "same.teacher": {"training": 48, "unlabelled": 0, "augmented": 0}}
    assert [(arm.name, arm.accuracy) for arm in record.arms] == [("labels only", 0.6), ("and the teacher", 0.7)]
    rows = list(step_rows(record))
    assert [name for name, *_ in rows][1:4] == ["same, labels only", "same, and the teacher", "same"]
    assert rows[2][3] == pytest.approx(10) and rows[3][3] == pytest.approx(100 * (rows[3][2] - 0.7))


def test_a_file_is_a_teacher(presets, data, settings, tmp_path, trainings):
    from edgedistil.presets.loading import load_classifier
    from edgedistil_converters import QuantizationPlan, convert_classifier

    file, labels = tmp_path / "big.tflite", ("lights", "music", "weather")
    convert_classifier(load_classifier(presets / "teacher"), labels, file, plan=QuantizationPlan("int8"))
    of_file = replace(settings, teacher=str(file), students=settings.students[:1])
    record = find_student(data, of_file, tmp_path / "new", benchmark=SHORT)
    assert trainings == ["same"]
    assert (record.teacher.name, record.teacher.is_fine_tuned) == ("big.tflite", False)
    assert record.teacher.weight_bytes == file.stat().st_size
    assert record.teacher.test_accuracy in (0, 0.5, 1)
    assert (tmp_path / "new" / "stages" / "teacher.tflite").read_bytes() == file.read_bytes()
    assert {one.name for one in record.files} == {"same.pruned.int8.tflite"}
    taught = json.loads((tmp_path / "new" / "stages" / "same" / "training.json").read_text())["teacher"]
    assert taught["name"] == "big.tflite"
    with TextClassifier(file) as classifier:
        given = [answer.label for answer in classifier.classify_batch(data.validation.texts)]
    right = pytest.approx(np.mean(np.array(given) == np.array(data.validation.labels)))
    assert record.teacher.accuracy == right
    assert taught["metrics"]["validation"]["accuracy"] == right
    find_student(data, replace(of_file, within=6), tmp_path / "new", benchmark=SHORT)
    assert trainings == ["same"]


def test_another_number_of_new_texts_is_tried_beside_the_one_that_is_there(found, data, settings, more, trainings):
    several = replace(settings, students=settings.students[:1], augmented_per_text=(1, 0))
    record = find_student(data, several, found, unlabelled=more, benchmark=SHORT)
    assert trainings == ["same.augment1"]
    [student] = record.students
    accuracies = {}
    for folder in ("same", "same.augment1"):
        training = json.loads((found / "stages" / folder / "training.json").read_text())
        accuracies[int(training["teacher"]["texts"]["augmented"] > 0)] = training["metrics"]["validation"]["accuracy"]
    assert {one.augmented_per_text: one.accuracy for one in student.tried} == accuracies
    assert student.accuracy == max(accuracies.values()) == accuracies[student.augmented_per_text]
    assert [one.augmented_per_text for one in student.tried] == [0, 1]
    page = (found / "report.html").read_text(encoding="utf-8")
    assert "New texts for each training text" in page and "kept" in page
    assert record == read_record(found)
    find_student(data, replace(several, augmented_per_text=1), found, unlabelled=more, benchmark=SHORT)
    assert trainings == ["same.augment1"]  # it is used again, under the name that it has


@pytest.mark.parametrize(
    ("accuracies", "kept"),
    [({0: 0.5, 2: 0.7, 4: 0.6}, 2), ({0: 0.5, 2: 0.7, 4: 0.7}, 2), ({0: 0.7, 2: 0.7, 4: 0.7}, 0)],
)
def test_the_best_number_of_new_texts_is_kept_and_the_fewest_of_equal_ones(
    found, data, settings, monkeypatch, accuracies, kept
):
    numbers = replace(settings, augmented_per_text=tuple(accuracies)[::-1])
    workshop = making.Workshop(
        data, (), numbers, open_stages(found), name="found", say=lambda _: None, warn=lambda _: None
    )
    names = []

    def train(self, start, name, digest, training, ask):
        names.append(name)
        return making.Made(found / name, digest, {"accuracy": accuracies[int(name[-1])]})

    monkeypatch.setattr(making.Workshop, "_train", train)
    [start, _] = read_starts(settings.students)
    student = workshop.student(start)
    assert names == ["same.augment0", "same.augment2", "same.augment4"]
    assert (student.augmented_per_text, student.made.path.name) == (kept, f"same.augment{kept}")
    assert student.tried == accuracies


# What is refused


def test_no_student_within_names_the_nearest_and_keeps_what_was_made(found, data, settings, more, trainings):
    strict = replace(settings, students=settings.students[1:])
    with pytest.raises(BudgetError) as refused:
        find_student(data, strict, found, unlabelled=more, benchmark=SHORT)
    message = str(refused.value)
    assert "Nearest in the budget: narrow.pruned.int8.tflite, 0." in message
    assert "points below the teacher" in message and "`within`" in message and "stages" in message
    assert trainings == []
    assert not (found / "model.tflite").exists() and not (found / "preset").exists()
    record = read_record(found)
    assert record.chosen is None and record.chosen_file is None
    assert "No student is within" in (found / "report.html").read_text()


def test_a_budget_below_all_layers_is_refused_before_any_training(data, settings, tmp_path, trainings):
    with pytest.raises(BudgetError, match=r"the layers of narrow, the smallest, need 0.00 MB .* Raise `budget_mb`"):
        find_student(data, replace(settings, budget_mb=0.001), tmp_path / "new")
    assert trainings == []
    assert not (tmp_path / "new").exists()


def test_students_that_cannot_be_small_enough_are_not_trained(found, data, settings, more, trainings):
    small = replace(settings, budget_mb=0.015, students=(*settings.students,))
    with pytest.raises(BudgetError, match=r"same was not trained: its layers need 0.02 MB"):
        find_student(data, small, found, unlabelled=more, benchmark=SHORT)
    assert [one.name for one in read_record(found).skipped] == ["same"]


def test_a_refused_conversion_is_recorded(found, data, settings, more, monkeypatch):
    from edgedistil_runtime.errors import ParityError

    def refuse(*_):
        raise ParityError("labels differ")

    monkeypatch.setattr(making, "convert_preset", refuse)
    with pytest.raises(BudgetError, match="narrow.pruned.fp16.tflite was refused: labels differ"):
        find_student(data, replace(settings, schemes=("fp16",)), found, unlabelled=more, benchmark=SHORT)
    assert [one.reason for one in read_record(found).refused] == ["labels differ"] * 2


def test_a_teacher_with_other_labels_is_refused(data, settings, tmp_path):
    labels = tuple("heating" if label == "weather" else label for label in data.training.labels)
    other = TrainingData(LabelledTexts(data.training.texts, labels))
    with pytest.raises(DataError, match="`teacher`.*without 'heating' and with also 'weather'"):
        find_student(other, settings, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_texts_in_another_language_are_named(found, data, settings):
    german = ("schalte das licht im flur bitte wieder ein", "spiele etwas von bach und dann von mozart")
    warnings = []
    workshop = making.Workshop(
        data, german, settings, open_stages(found), name="found", say=lambda _: None, warn=warnings.append
    )
    assert workshop.answers(0).texts["unlabelled"] == 2
    [warning] = warnings
    assert "of the words of the unlabelled texts" in warning and "another language" in warning


def test_two_searches_in_one_directory_are_refused(found, data, settings):
    from edgedistil_converters.files import sole_use

    with sole_use(found / "stages"), pytest.raises(OutputError, match="Another search is running"):
        find_student(data, settings, found)


# The record


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record.pop("chosen"),
        lambda record: record.update(more=1),
        lambda record: record.update(schema_version=2),
        lambda record: record.update(chosen="other.tflite"),
        lambda record: record.update(chosen=1),
        lambda record: record["settings"].update(budget_mb="1"),
        lambda record: record["settings"].update(within=-1),
        lambda record: record["settings"].update(students="tiny"),
        lambda record: record["files"][0].update(size=1.5),
        lambda record: record["files"][0].update(is_pruned=1),
        lambda record: record["students"][0]["pruned"].update(vocabulary=True),
        lambda record: record["texts"].update(training=None),
        lambda record: record["teacher"].pop("test_accuracy"),
    ],
)
def test_a_record_of_another_schema_is_refused(found, change):
    path = found / "distillation.json"
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))
    with pytest.raises(DataError, match="no record of a search"):
        read_record(found)


def test_sizes_are_a_lower_bound_of_files(made, presets):
    record = read_record(made)
    for start in read_starts((str(presets / "same"), str(presets / "narrow"))):
        sizes = [file.size for file in record.files if file.student == start.name]
        assert 0 < start.least_bytes(("int8",)) < min(sizes)
    assert StudentStart("tiny", "tiny").least_bytes(("int4",)) == 196608


# The command


def command(presets, output, *more):
    return CliRunner().invoke(
        main,
        [
            *("distil", "--train-data", str(presets / "train.csv"), "--unlabelled", str(presets / "more.csv")),
            *("--teacher", str(presets / "teacher"), "--student", str(presets / "same"), "--budget-mb", "1"),
            *("--within", "5", "--epochs", "2", "--sequence-length", "16", "-o", output, *more),
        ],
    )


def test_the_command_makes_what_the_library_makes(presets, found):
    """The students of the fixture are used: the same data and settings have the same digests."""
    output = str(found)
    shown = command(presets, output, "--json")
    assert shown.exit_code == 0, shown.output
    result = json.loads(shown.stdout.splitlines()[-1])
    record = read_record(found)
    assert result == json.loads(json.dumps({"output": output, **record.to_dict()}))
    assert record.chosen == "same.pruned.int8.tflite" and record.texts["test"] == 0
    shown = command(presets, output)
    assert "unlabelled texts: 3; 2 left out" in shown.output
    assert "<- chosen" in shown.output and f"wrote {output}/model.tflite" in shown.output


def test_numbers_of_new_texts_are_given_by_one_flag_each(presets, found):
    shown = command(presets, str(found), "--augment", "0", "--augment", "1")
    assert shown.exit_code == 0, shown.output
    [student] = read_record(found).students
    assert f"same: {student.augmented_per_text} new texts for each training text: " in shown.output
    assert f"{student.tried[1].accuracy:.2%} with 1" in shown.output
    shown = command(presets, str(found), "--augment", "1", "--augment", "1")
    assert shown.exit_code == 1 and "--augment must be one whole number from 0 up or several" in shown.output


def test_an_error_names_flags(presets, tmp_path):
    shown = command(presets, str(tmp_path / "new"), "--budget-mb", "0.0001")
    assert shown.exit_code == 1
    assert "Raise --budget-mb, or start from smaller --student" in shown.output
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("flag", ["--teacher", "--student"])
def test_a_preset_that_cannot_be_found_leaves_nothing(presets, tmp_path, flag):
    shown = command(presets, str(tmp_path / "new"), flag, str(tmp_path / "missing"))
    assert shown.exit_code == 1 and "missing" in shown.output
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("content", ["", "text\n", "text\n \n"])
def test_an_empty_unlabelled_file_is_refused(presets, tmp_path, content):
    (tmp_path / "empty.csv").write_text(content)
    shown = command(presets, str(tmp_path / "new"), "--unlabelled", str(tmp_path / "empty.csv"))
    assert shown.exit_code == 1 and "empty.csv" in shown.output
    assert not (tmp_path / "new").exists()


def test_an_input_is_not_replaced(presets):
    shown = command(presets, str(presets / "teacher"))
    assert shown.exit_code == 1 and "would replace what it is made of" in shown.output
