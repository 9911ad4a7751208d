"""Training on texts with several labels: targets, thresholds, the best epoch, the directory, and what is refused."""

import itertools
import json
from dataclasses import replace
from importlib.util import find_spec

import click
import keras
import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner

from edgedistil.cli import main
from edgedistil.cli.label_set_options import read_any_examples
from edgedistil.cli.train import train as train_command
from edgedistil.data import MultiLabelTexts, MultiLabelTrainingData
from edgedistil.data.samples import read_samples
from edgedistil.presets.loading import load_labelled_classifier
from edgedistil.presets.thresholds import THRESHOLDS_FILE
from edgedistil.set_scores import evaluate_label_sets, score_label_sets
from edgedistil.training.head import fit_linear_head
from edgedistil.training.keras_outputs import predict_probabilities
from edgedistil.training.loop import train
from edgedistil.training.objective import SoftTargets
from edgedistil.training.settings import FINE_TUNING, FROM_SCRATCH, multi_label_settings
from edgedistil.training.start import from_preset, from_scratch
from edgedistil.training.thresholds import fit_thresholds
from edgedistil_converters.preparation.quantization_aware import QATSettings
from edgedistil_converters.preparation.quantization_aware.losses import text_losses
from edgedistil_runtime import TextClassifier
from edgedistil_runtime.errors import DataError, PresetError

from .bert_checkpoints import write_checkpoint

pytestmark = pytest.mark.training

PARTS = {"lights": "turn the lights on", "music": "play some music", "weather": "is it raining"}
SUBSETS = [subset for size in range(3) for subset in itertools.combinations(PARTS, size)]


def tagged(count=40):
    """Texts with none, one or two of three labels."""
    rows = [(number, subset) for number in range(count) for subset in SUBSETS]
    texts = [f"{' and '.join(PARTS[label] for label in subset)} number {number}" for number, subset in rows]
    return MultiLabelTexts(tuple(texts), tuple(subset for _, subset in rows))


def write_csv(path, data):
    rows = [f'"{text}",{"|".join(labels)}' for text, labels in zip(data.texts, data.label_sets, strict=True)]
    path.write_text("\n".join(["text,label", *rows]) + "\n")
    return path


def run(*arguments, code=0):
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert done.exit_code == code, done.output
    return done


SCRATCH = ("--from-scratch", "tiny", "--vocabulary-size", 200, "--sequence-length", 16, "--epochs", 4)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A preset directory that the command line trained, and its JSON."""
    folder = tmp_path_factory.mktemp("tagger")
    data = write_csv(folder / "train.csv", tagged())
    done = run("train", "--train-data", data, "--label-separator", "|", *SCRATCH, "-o", folder / "tagger", "--json")
    return folder / "tagger", json.loads(done.output.splitlines()[-1])


def test_train_writes_a_directory_with_thresholds(trained):
    directory, printed = trained
    assert printed["labels"] == ["lights", "music", "weather"]
    assert printed["metrics"]["validation"]["micro_f1"] > 0.95
    assert json.loads((directory / THRESHOLDS_FILE).read_text()) == printed["thresholds"]
    assert all(0 < threshold < 1 for threshold in printed["thresholds"].values())
    loaded = load_labelled_classifier(directory)
    assert loaded.thresholds == tuple(printed["thresholds"].values())
    assert loaded.classifier.activation is keras.activations.sigmoid
    assert isinstance(read_samples(directory), MultiLabelTexts)
    record = json.loads((directory / "training.json").read_text())
    assert record["settings"]["monitor"] == "micro_f1"
    best = record["history"][record["best_epoch"] - 1]
    assert best["val_micro_f1"] == max(epoch["val_micro_f1"] for epoch in record["history"])


def test_convert_takes_the_thresholds(trained, tmp_path):
    directory, printed = trained
    run("convert", "--preset", directory, "--quantize", "fp32", "-o", tmp_path / "t.tflite")
    with TextClassifier(tmp_path / "t.tflite") as model:
        assert model.metadata.thresholds == tuple(printed["thresholds"].values())
        answers = model.classify_batch(tagged(1).texts)
    assert [set(answer.labels) for answer in answers] == [set(labels) for labels in tagged(1).label_sets]


def test_train_reads_lists_without_an_option(tmp_path):
    data = tagged(4)
    path = tmp_path / "a.jsonl"
    rows = [{"text": text, "label": labels} for text, labels in zip(data.texts, data.label_sets, strict=True)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = run("train", "--train-data", path, *SCRATCH[:-1], 1, "-o", tmp_path / "out")
    assert "3 classes, any number of them for a text" in done.output
    # Nothing is held out of few texts.
    assert load_labelled_classifier(tmp_path / "out").thresholds == (0.5,) * 3


READ = {"text_column": "text", "label_column": "label", "delimiter": None, "strip_labels": False, "is_json": False}


def test_label_columns_are_names_between_commas(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('text,late,"broken, dirty"\nhi,0,1\n')
    for value in ('late,"broken, dirty"', 'late, "broken, dirty"'):
        columns = {parameter.name: parameter for parameter in train_command.params}["label_columns"]
        names = columns.process_value(click.Context(train_command), value)
        found = read_any_examples(path, label_separator=None, label_columns=names, **READ)
        assert found.label_sets == (("broken, dirty",),)


def test_a_separator_in_classes_is_a_warning_without_the_option(tmp_path, capsys):
    path = write_csv(tmp_path / "a.csv", tagged(4))
    found = read_any_examples(path, label_separator=None, label_columns=(), **READ)
    assert set(found.labels) == {"lights", "music", "weather", "lights|music", "lights|weather", "music|weather"}
    assert "classes of 12 rows contain '|'" in (warning := capsys.readouterr().err)
    assert "pass --label-separator '|'" in warning


def test_another_separator_in_labels_is_a_warning(tmp_path, capsys):
    path = write_csv(tmp_path / "a.csv", tagged(4))
    read_any_examples(path, label_separator=";", label_columns=(), **READ)
    warning = capsys.readouterr().err
    assert "divided at ';' only" in warning and "pass --label-separator '|'" in warning
    read_any_examples(path, label_separator="|", label_columns=(), **READ)
    assert not capsys.readouterr().err


def test_a_file_of_lists_cannot_have_validation_data_of_one_label(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a", "label": ["x", "y"]}\n{"text": "b", "label": ["y"]}\n')
    one = tmp_path / "b.jsonl"
    one.write_text('{"text": "a", "label": "x"}\n')
    done = run("train", "--train-data", path, "--validation-data", one, "-o", tmp_path / "out", code=1)
    assert "must be a list" in done.output and "--label-separator" in done.output


def test_what_does_not_fit_is_refused_by_name(tmp_path, tiny_preset):
    path = write_csv(tmp_path / "a.csv", tagged(4))
    common = ("train", "--train-data", path, "--label-separator", "|", *SCRATCH, "-o", tmp_path / "out")
    for options, message in {
        ("--teacher", tiny_preset): "(--teacher)",
        ("--class-weights", "balanced"): "--class-weights none",
        ("--label-smoothing", "0.1"): "--label-smoothing 0",
        ("--monitor", "accuracy"): "--monitor micro_f1",
    }.items():
        assert message in run(*common, *options, code=1).output
    one = tmp_path / "b.csv"
    one.write_text("text,label\n" + "a b,x\nc d,y\n" * 4)
    assert "ordinary classifier" in run("train", "--train-data", one, *common[3:], code=1).output
    assert (
        "--monitor is micro_f1 only"
        in run("train", "--train-data", one, *SCRATCH, "--monitor", "micro_f1", "-o", tmp_path / "out", code=1).output
    )
    assert not (tmp_path / "out").exists()


def test_training_needs_sigmoids_and_an_answer_for_each_label(make_tiny_classifier):
    data = MultiLabelTrainingData(tagged(2))
    settings = replace(multi_label_settings(FROM_SCRATCH), sequence_length=16)
    with pytest.raises(PresetError, match="activation='sigmoid'"):
        train(make_tiny_classifier(), data, settings)
    classifier, soft = make_tiny_classifier(activation="sigmoid"), SoftTargets(np.zeros((len(data.training), 4)))
    with pytest.raises(DataError, match="a column for each class"):
        train(classifier, data, settings, soft_targets=soft)


def test_a_new_head_of_a_preset_is_fitted_to_the_sets(tiny_preset):
    data = MultiLabelTrainingData(tagged())
    classifier = from_preset(str(tiny_preset), data, replace(multi_label_settings(FINE_TUNING), sequence_length=16))
    probabilities = predict_probabilities(classifier, data.training.texts)
    targets = np.array([[label in labels for label in data.labels] for labels in data.training.label_sets])
    assert score_label_sets(probabilities, targets, (0.5,) * 3)["micro_f1"] > 0.95


def test_a_classifier_from_scratch_begins_with_the_shares_of_the_labels():
    data = MultiLabelTrainingData(tagged())
    classifier = from_scratch("tiny", data, replace(FROM_SCRATCH, sequence_length=16), vocabulary=200)
    bias = np.asarray(classifier.output_dense.bias)
    np.testing.assert_allclose(1 / (1 + np.exp(-bias)), 3 / 7, atol=0.01)


def test_a_linear_head_for_sets_has_the_optimum_of_each_label():
    generator = np.random.default_rng(0)
    features = generator.normal(size=(200, 3)).astype("float32")
    likely = 1 / (1 + np.exp(-features[:, :2] + [0, 1]))
    targets = (generator.random((200, 2)) < likely).astype("float32")
    kernel, bias = fit_linear_head(features, targets, is_multi_label=True)
    # The gradient of the penalized loss is 0 at the minimum.
    errors = 1 / (1 + np.exp(-(features @ kernel + bias))) - targets
    np.testing.assert_allclose(features.T @ errors + kernel, 0, atol=0.2)
    np.testing.assert_allclose(errors.sum(axis=0), 0, atol=0.2)


def test_a_threshold_lies_in_the_gap():
    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    generator = np.random.default_rng(0)
    targets = generator.random((400, 2)) < [0.3, 0.5]
    logits = np.where(targets, [-0.5, 2.5], [-2.5, 0.5]) + generator.uniform(-0.5, 0.5, (400, 2))
    found = fit_thresholds(sigmoid(logits).astype("float32"), targets.astype("float32"))
    np.testing.assert_allclose(np.log(found) - np.log1p(-np.array(found)), [-1.5, 1.5], atol=0.3)


def test_a_label_with_few_texts_has_about_the_threshold_of_all():
    targets = np.zeros((300, 3), "float32")
    targets[:100, 0] = targets[100:200, 1] = targets[:1, 2] = 1
    probabilities = np.where(targets, [0.8, 0.8, 0.06], [0.2, 0.2, 0.05]).astype("float32")
    common, _, rare = fit_thresholds(probabilities, targets)
    assert rare > 0.2  # 0.055 would be perfect on its single text
    assert abs(rare - common) < 0.2


def test_thresholds_without_a_label():
    assert fit_thresholds(np.full((3, 2), 0.2, "float32"), np.zeros((3, 2), "float32")) == (0.5, 0.5)


def test_scores_of_sets_are_those_of_their_definition():
    sets, given = [["a"], ["a", "b"], [], ["c"]], [["a"], ["b", "c"], [], []]
    found = evaluate_label_sets(sets, given, ["a", "b", "c", "d"])
    # hits a 1, b 1; missed a 1, c 1; wrong c 1
    assert found.micro_f1 == pytest.approx(4 / 7)
    assert found.macro_f1 == pytest.approx((2 / 3 + 1 + 0) / 3)  # d neither occurs nor is given
    assert found.subset_accuracy == 0.5
    assert [one.support for one in found.classes] == [2, 1, 1, 0]
    probabilities = np.array([[0.9, 0, 0, 0], [0.1, 0.9, 0.9, 0], [0] * 4, [0] * 4], "float32")
    targets = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [0] * 4, [0, 0, 1, 0]], "float32")
    scored = score_label_sets(probabilities, targets, (0.5,) * 4)
    for name in ("micro_f1", "macro_f1", "subset_accuracy"):
        assert scored[name] == pytest.approx(getattr(found, name), abs=1e-5)
    with pytest.raises(DataError, match="does not know: z"):
        evaluate_label_sets([["z"]], [[]], ["a"])


def test_a_checkpoint_that_is_saved_keeps_its_thresholds(tmp_path):
    write_checkpoint(tmp_path / "tags", "distilbert", problem_type="multi_label_classification")
    loaded = load_labelled_classifier(tmp_path / "tags")
    loaded.save(tmp_path / "again")
    again = load_labelled_classifier(tmp_path / "again")
    assert (again.labels, again.thresholds) == (loaded.labels, loaded.thresholds)
    assert len(again.thresholds) == len(again.labels)
    replace(loaded, thresholds=(0.3, 0.6, 0.9)).save(tmp_path / "third")
    renamed = load_labelled_classifier(tmp_path / "third", labels=("x", "y", "z"))
    assert (renamed.labels, renamed.thresholds) == (("x", "y", "z"), (0.3, 0.6, 0.9))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ("[0.5]", "for each label"),
        ('{"lights": 0.5}', "for each label"),
        ('{"lights": 0.5, "music": 1, "weather": 0.5}', "music: 1"),
        ('{"lights": 0.5, "music": "0.5", "weather": 0.5}', "music"),
        ('{"lights": true, "music": 0.5, "weather": 0.5}', "lights"),
    ],
)
def test_thresholds_that_cannot_be_read(trained, tmp_path, content, message):
    directory = tmp_path / "tagger"
    load_labelled_classifier(trained[0]).save(directory)
    (directory / THRESHOLDS_FILE).write_text(content)
    with pytest.raises(PresetError, match=message):
        load_labelled_classifier(directory)


@pytest.fixture(scope="module")
def model(trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "tagger.tflite"
    run("convert", "--preset", trained[0], "-o", path)
    return path


def test_evaluate_scores_sets_of_files_and_presets(trained, model, tmp_path):
    directory, _ = trained
    texts = ("play some music number 3", "is it raining", "number 5", "turn the lights on")
    data = MultiLabelTexts(texts, (("music",), ("lights", "weather"), (), ("lights",)))  # the second is not right
    path = write_csv(tmp_path / "test.csv", data)
    arguments = ("evaluate", directory, model, "--data", path, "--label-separator", "|")
    found = json.loads(run(*arguments, "--json").output.splitlines()[-1])
    keras, file = found["models"]
    loaded = load_labelled_classifier(directory)
    probabilities = predict_probabilities(loaded.classifier, texts)
    sets = [
        {label for label, p, t in zip(loaded.labels, row, loaded.thresholds, strict=True) if p >= t}
        for row in probabilities
    ]
    due = evaluate_label_sets(data.label_sets, sets, loaded.labels)
    assert (keras["micro_f1"], keras["macro_f1"]) == pytest.approx((due.micro_f1, due.macro_f1))
    assert keras["subset_accuracy"] == due.subset_accuracy < 1
    assert [one["support"] for one in keras["classes"]] == [2, 1, 1]
    with TextClassifier(model) as classifier:
        same = [set(answer.labels) == one for answer, one in zip(classifier.classify_batch(texts), sets, strict=True)]
    assert (keras["same_sets"], file["same_sets"]) == (1, np.mean(same))
    assert found["reference"] == keras["model"]
    printed = run(*arguments).output
    assert "micro F1" in printed and f"{due.subset_accuracy:.2%}" in printed


def test_evaluate_refuses_the_other_kind_of_model(model, tiny_preset, tmp_path):
    path = write_csv(tmp_path / "test.csv", tagged(1))
    sets = ("--data", path, "--label-separator", "|")
    assert "gives every text one label" in run("evaluate", tiny_preset, *sets, code=1).output
    refused = run("evaluate", model, "--data", path, code=1).output
    assert "multi-label model" in refused and "--label-separator" in refused
    assert "--baseline" in run("evaluate", model, *sets, "--baseline", path, code=2).output
    unknown = tmp_path / "unknown.csv"
    unknown.write_text("text,label\na,music|dance\n")
    assert "dance" in run("evaluate", model, "--data", unknown, "--label-separator", "|", code=1).output


needs_tfmot = pytest.mark.skipif(find_spec("tensorflow_model_optimization") is None, reason="needs the extra qat")


@needs_tfmot
def test_int8_qat_trains_on_sets(trained, tmp_path):
    directory, printed = trained
    data, path = write_csv(tmp_path / "train.csv", tagged(20)), tmp_path / "qat.tflite"
    run(
        "convert",
        "--preset",
        directory,
        "--quantize",
        "int8-qat",
        "--train-data",
        data,
        "--label-separator",
        "|",
        "-o",
        path,
    )
    with TextClassifier(path) as model:
        assert model.metadata.thresholds == tuple(printed["thresholds"].values())
        history = model.metadata.preparation["quantization_aware_training"]["history"]
        answers = model.classify_batch(tagged(3).texts)
    assert history[-1]["accuracy"] > 0.9
    assert all(0 < epoch["agreement"] <= 1 for epoch in history)
    right = [set(one.labels) == set(due) for one, due in zip(answers, tagged(3).label_sets, strict=True)]
    assert np.mean(right) > 0.9


def test_the_loss_of_int8_qat_counts_every_label():
    logits = np.array([[2.0, -1.0, 0.5], [0.0, 3.0, -2.0]], "float32")
    settings = QATSettings(distillation_weight=0.0)
    one_hot = np.array([[0, 0, 1], [1, 0, 0]], "int32")
    of_sets, of_classes = (
        text_losses(tf.constant(logits), tf.constant(targets), logits, settings, is_sigmoid=True)
        for targets in (one_hot, one_hot.argmax(axis=1).astype("int32"))
    )
    np.testing.assert_allclose(of_sets, of_classes, rtol=1e-6)
    targets = np.array([[1, 1, 0], [0, 0, 0]], "int32")
    found = text_losses(tf.constant(logits), tf.constant(targets), logits, settings, is_sigmoid=True)
    likely = 1 / (1 + np.exp(-logits))
    np.testing.assert_allclose(found, -np.log(np.where(targets, likely, 1 - likely)).mean(axis=1), rtol=1e-5)


def test_int8_static_measures_ranges(trained, tmp_path):
    data, path = write_csv(tmp_path / "texts.csv", tagged(20)), tmp_path / "static.tflite"
    run("convert", "--preset", trained[0], "--quantize", "int8-static", "--calibration-data", data, "-o", path)
    with TextClassifier(path) as model:
        answers = model.classify_batch(tagged(3).texts)
    assert [set(one.labels) for one in answers] == [set(due) for due in tagged(3).label_sets]


def test_a_conversion_trains_a_head_for_sets(tiny_preset, tmp_path):
    load_labelled_classifier(tiny_preset).classifier.backbone.save_to_preset(str(tmp_path / "backbone"))
    tokenizer = load_labelled_classifier(tiny_preset).classifier.preprocessor.tokenizer
    tokenizer.save_to_preset(str(tmp_path / "backbone"))
    data, path = write_csv(tmp_path / "train.csv", tagged(2)), tmp_path / "head.tflite"
    run("convert", "--preset", tmp_path / "backbone", "--train-data", data, "--label-separator", "|", "-o", path)
    with TextClassifier(path) as model:
        assert model.metadata.thresholds == (0.5,) * 3  # of few texts, none are held out
        assert model.labels == ("lights", "music", "weather")


def test_training_texts_of_a_conversion_must_be_of_its_kind(trained, tiny_preset, tmp_path):
    one = tmp_path / "one.csv"
    one.write_text("text,label\na,lights\nb,music\n")
    sets = write_csv(tmp_path / "sets.csv", tagged(1))
    output = ("-o", tmp_path / "m.tflite")
    done = run("convert", "--preset", trained[0], "--train-data", one, *output, code=1)
    assert "the texts have one label each" in done.output and "--label-separator" in done.output
    done = run("convert", "--preset", tiny_preset, "--train-data", sets, "--label-separator", "|", *output, code=1)
    assert "the texts have any number of labels each" in done.output
    unknown = tmp_path / "unknown.csv"
    unknown.write_text("text,label\na,lights|dance\n")
    done = run("convert", "--preset", trained[0], "--train-data", unknown, "--label-separator", "|", *output, code=1)
    assert "dance" in done.output
