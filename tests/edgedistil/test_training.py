"""Training: it learns, keeps the best epoch, repeats itself, and leaves a whole preset or nothing."""

import errno
import json
from dataclasses import replace

import huggingface_hub
import keras
import numpy as np
import pytest

from edgedistil.data import TrainingData, read_labelled_texts
from edgedistil.presets.loading import load_labelled_classifier
from edgedistil.scores import score_probabilities
from edgedistil.sizes import BackboneSize
from edgedistil.training import FINE_TUNING, FROM_SCRATCH, TrainingSettings, fit, from_scratch_settings
from edgedistil.training.batches import TokenizedTexts, tokenize, training_batches
from edgedistil.training.callbacks import BestEpoch
from edgedistil.training.head import has_linear_head
from edgedistil.training.keras_outputs import predict_probabilities
from edgedistil.training.loop import train
from edgedistil.training.optimization import WarmupLinearDecay
from edgedistil.training.pooling import has_mean_pooling
from edgedistil.training.record import write_training
from edgedistil.training.start import from_preset, from_scratch
from edgedistil_converters.files import atomic_directory, check_directory
from edgedistil_runtime.errors import DataError, OutputError, PresetError

pytestmark = pytest.mark.training

SIZE = BackboneSize(num_layers=1, hidden_dim=16, num_heads=2, intermediate_dim=32)
# With some other seeds, 90 steps on twelve texts do not part two of the three classes.
SETTINGS = replace(
    FROM_SCRATCH,
    epochs=30,
    batch_size=4,
    learning_rate=1e-2,
    token_dropout=0.05,
    sequence_length=12,
    patience=30,
    seed=1,
)


@pytest.fixture(scope="module")
def data(texts, tmp_path_factory) -> TrainingData:
    path = tmp_path_factory.mktemp("data") / "texts.csv"
    rows = [f"{text},{label}" for text, label in zip(texts.texts, texts.labels, strict=True)]
    path.write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")
    examples = read_labelled_texts(path)
    return replace(TrainingData.prepare(examples, validation_fraction=0.2), test=examples)


@pytest.fixture(scope="module")
def result(data):
    return run(data, name="mine")


def run(data, settings=SETTINGS, **options):
    return train(from_scratch(SIZE, data, settings, vocabulary=150), data, settings, **options)


# Settings


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"batch_size": 0},
        {"learning_rate": 0.0},
        {"learning_rate": float("inf")},
        {"learning_rate": float("nan")},
        {"dropout": 1.0},
        {"token_dropout": -0.1},
        {"warmup_fraction": 1.0},
        {"sequence_length": 2},
        {"validation_fraction": 1.0},
        {"accumulated_batches": 0},
        {"layer_decay": 0.0},
        {"class_weights": "rare"},
        {"pooling": "max"},
        {"temperature": 0.0},
        {"teacher_share": 1.1},
        {"distillation_loss": "mae"},
        {"patience": 0},
        {"seed": -1},
        {"monitor": "f1"},
    ],
)
def test_illegal_settings_cannot_be_made(wrong):
    with pytest.raises(DataError, match=f"`{next(iter(wrong))}` must be .*Received"):
        TrainingSettings(**wrong)


# Parts


def test_learning_rate_rises_and_falls_in_straight_lines():
    schedule = WarmupLinearDecay(1.0, warmup_steps=4, total_steps=12)
    rates = [float(schedule(step)) for step in range(12)]
    assert rates[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert rates[4:] == pytest.approx([7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8, 0.0])
    assert WarmupLinearDecay.from_config(schedule.get_config()).get_config() == schedule.get_config()


def test_metrics_by_hand():
    probabilities = np.array([[0.8, 0.2, 0.0], [0.6, 0.4, 0.0], [0.1, 0.9, 0.0]], "float32")
    metrics = score_probabilities(probabilities, np.array([0, 1, 1]))
    # One hit of class 0 and one false alarm: F1 2/3. One hit of class 1 and one miss: 2/3. Class 2 occurs nowhere.
    expected_loss = -np.log([0.8, 0.4, 0.9]).mean()
    assert metrics["accuracy"] == pytest.approx(2 / 3, abs=1e-6)
    assert metrics["macro_f1"] == pytest.approx(2 / 3, abs=1e-6)
    assert metrics["loss"] == pytest.approx(expected_loss, abs=1e-6)
    assert metrics["rows"] == 3


def test_batches_show_every_text_once_no_longer_than_needed_and_in_another_order_each_epoch(
    texts, make_tiny_classifier
):
    tokenized = tokenize(make_tiny_classifier().preprocessor, texts.texts)
    targets = np.arange(len(texts), dtype="float32")[:, None]
    batches = training_batches(tokenized, targets, batch_size=4, seed=3)
    epochs = []
    for _ in range(2):
        seen = []
        for inputs, rows, _ in batches.as_numpy_iterator():
            length = inputs["token_ids"].shape[1]
            numbers = rows[:, 0].astype(int)
            assert length == tokenized.lengths[numbers].max()
            np.testing.assert_array_equal(inputs["token_ids"], tokenized.token_ids[numbers, :length])
            np.testing.assert_array_equal(inputs["padding_mask"], tokenized.padding_mask[numbers, :length])
            seen.extend(numbers)
        assert sorted(seen) == list(range(len(texts)))
        epochs.append(seen)
    assert epochs[0] != epochs[1]


def test_token_dropout_spares_the_special_tokens(texts, make_tiny_classifier):
    tokenized = tokenize(make_tiny_classifier().preprocessor, texts.texts)
    before = tokenized.token_ids.copy()
    targets = np.arange(len(texts), dtype="float32")[:, None]
    batches = training_batches(tokenized, targets, batch_size=4, seed=3, token_dropout=0.999, unknown_id=1)
    for inputs, rows, _ in batches.as_numpy_iterator():
        for ids, mask, row in zip(inputs["token_ids"], inputs["padding_mask"], rows[:, 0].astype(int), strict=True):
            length = tokenized.lengths[row]
            assert (ids[0], ids[length - 1]) == (2, 3)
            assert set(ids[1 : length - 1]) == {1}
            assert set(ids[length:]) <= {0}
            assert mask.sum() == length
    np.testing.assert_array_equal(tokenized.token_ids, before)


def test_best_epoch_is_kept_and_patience_ends_training():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    scripted = iter([(0.5, 1.0), (0.9, 0.8), (0.9, 0.4), (0.9, 0.6), (0.2, 0.1)])

    def metrics():
        accuracy, loss = next(scripted)
        return {"accuracy": accuracy, "loss": loss, "rows": 1}

    best = BestEpoch(metrics, monitor="accuracy", patience=2)
    best.set_model(model)
    model.stop_training = False
    stopped_after = []
    for epoch in range(5):
        model.set_weights([np.full((1, 1), float(epoch + 1))])
        best.on_epoch_end(epoch, {"loss": 0.0})
        stopped_after.append(model.stop_training)
    best.on_train_end()
    assert best.best_epoch == 3, "of equal accuracies the smaller loss is better"
    assert stopped_after == [False, False, False, False, True]
    assert float(model.get_weights()[0][0, 0]) == 3.0


# The loop


def test_it_learns_and_its_metrics_are_those_of_the_weights_it_keeps(result):
    assert result.metrics["test"]["accuracy"] >= 0.8
    assert result.trained.labels == ("lights", "music", "weather")
    best = result.history[result.best_epoch - 1]
    assert best["epoch"] == result.best_epoch
    for name in ("accuracy", "loss", "macro_f1"):
        assert result.metrics["validation"][name] == pytest.approx(best[f"val_{name}"], abs=1e-5)
    assert max(row["val_accuracy"] for row in result.history) == best["val_accuracy"]


def test_same_seed_same_run_and_same_bytes(data, result, tmp_path):
    again = run(data, name="mine")
    assert again.history == result.history
    for one, other in zip(again.trained.classifier.get_weights(), result.trained.classifier.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    for name, trained in (("one", result), ("other", again)):
        write_training(trained, data, tmp_path / name)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file())
    compared = [path for path in files if path.suffix != ".h5"]
    assert {"config.json", "metadata.json", "training.json", "training.png", "labels.txt"} <= {p.name for p in compared}
    for path in compared:
        assert (tmp_path / "one" / path).read_bytes() == (tmp_path / "other" / path).read_bytes(), path


def test_kernels_from_scratch_have_glorots_variance(data):
    kernel = np.array(from_scratch(SIZE, data, SETTINGS, vocabulary=150).pooled_dense.kernel)
    assert kernel.std() == pytest.approx(np.sqrt(2 / sum(kernel.shape)), rel=0.2)


def test_another_seed_another_start(data):
    kernels = [
        np.array(from_scratch(SIZE, data, replace(SETTINGS, seed=seed), vocabulary=150).output_dense.kernel)
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert (kernels[0] != kernels[2]).all()


def test_frozen_backbone(data, tiny_preset):
    settings = replace(SETTINGS, epochs=1, batch_size=16, is_backbone_frozen=True)
    classifier = from_preset(str(tiny_preset), data, settings)
    before = [np.array(weight) for weight in classifier.backbone.weights]
    head = np.array(classifier.output_dense.kernel)
    train(classifier, data, settings)
    for old, new in zip(before, classifier.backbone.weights, strict=True):
        np.testing.assert_array_equal(old, np.array(new))
    assert (head != np.array(classifier.output_dense.kernel)).any()


def test_pooling_and_the_hidden_layer_of_a_linear_head_stay_as_they_are_also_in_a_second_training(data, tiny_preset):
    settings = replace(SETTINGS, epochs=1, batch_size=16, pooling="mean")
    classifier = from_preset(str(tiny_preset), data, settings)
    for _ in range(2):
        output = np.array(classifier.output_dense.kernel)
        train(classifier, data, settings)
        assert has_mean_pooling(classifier.backbone)
        assert has_linear_head(classifier)
        assert (output != np.array(classifier.output_dense.kernel)).any()


def test_with_xla(data):
    result = run(data, replace(SETTINGS, epochs=1, batch_size=16, is_jit_compiled=True))
    assert np.isfinite(result.history[0]["loss"])


@pytest.mark.parametrize("activation", [None, "softmax"])
def test_probabilities_of_logits_and_of_a_softmax(texts, make_tiny_classifier, activation):
    classifier = make_tiny_classifier(activation=activation)
    outputs = classifier.predict(list(texts.texts), verbose=0)
    exponentials = np.exp(outputs)
    expected = outputs if activation else exponentials / exponentials.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(predict_probabilities(classifier, texts.texts), expected, atol=1e-6)


def test_wrong_number_of_outputs_or_no_preprocessor(data, make_tiny_classifier):
    with pytest.raises(PresetError, match=r"5 outputs.*3 classes.*num_classes=3"):
        train(make_tiny_classifier(num_classes=5), data, SETTINGS)
    classifier = make_tiny_classifier()
    classifier.preprocessor = None
    with pytest.raises(PresetError, match="preprocessor"):
        train(classifier, data, SETTINGS)


def test_divergence_is_an_error(data):
    with pytest.raises(DataError, match=r"diverged.*`learning_rate`"):
        run(data, replace(SETTINGS, learning_rate=1e30, clip_norm=1e30, epochs=4))


def test_fit_shows_texts_in_another_order_every_epoch(texts, make_tiny_classifier, monkeypatch):
    orders = []
    batches = TokenizedTexts.batch

    def recorded(self, rows, **options):
        orders.append(rows.tolist())
        return batches(self, rows, **options)

    monkeypatch.setattr(TokenizedTexts, "batch", recorded)
    settings = TrainingSettings(epochs=2, batch_size=len(texts), sequence_length=12)
    result = fit(make_tiny_classifier(), texts.texts, texts.labels, settings=settings)
    shown = [rows for rows in orders if len(rows) == len(texts)]
    assert sorted(shown[-1]) == list(range(len(texts)))
    assert shown[-1] != sorted(shown[-1])
    assert result.trained.labels == ("lights", "music", "weather")


# What it leaves


def test_written_preset_is_one_that_loads_with_its_labels(data, result, tmp_path):
    directory = write_training(result, data, tmp_path / "mine", origin={"from_scratch": "tiny"})
    loaded = load_labelled_classifier(directory)
    assert loaded.labels == result.trained.labels
    np.testing.assert_array_equal(
        predict_probabilities(loaded.classifier, data.validation.texts),
        predict_probabilities(result.trained.classifier, data.validation.texts),
    )
    assert loaded.classifier.preprocessor.sequence_length == 12
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine"]
    assert (directory / "training.png").read_bytes().startswith(b"\x89PNG")

    card = (directory / "README.md").read_text(encoding="utf-8")
    facts = huggingface_hub.ModelCard(card).data
    assert facts.pipeline_tag == "text-classification"
    assert facts.eval_results[0].metric_value == result.metrics["test"]["accuracy"]

    record = json.loads((directory / "training.json").read_text(encoding="utf-8"))
    assert record["settings"] == result.settings.to_dict()
    assert record["history"] == list(result.history)
    assert record["metrics"]["validation"]["rows"] == len(data.validation)
    assert record["data"]["training"]["file"] == "texts.csv"
    assert len(record["data"]["training"]["sha256"]) == 64
    assert record["versions"]["keras"] == keras.__version__
    assert str(tmp_path) not in json.dumps(record)


def test_nothing_is_left_when_writing_fails(data, result, tmp_path, monkeypatch):
    before = sorted(tmp_path.iterdir())
    for error, expected in (
        (OSError(errno.ENOSPC, "No space left on device"), OutputError),
        (RuntimeError("HDF5: write failed: No space left on device"), OutputError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ):

        def fail(*arguments, error=error, **options):
            raise error

        monkeypatch.setattr("edgedistil.training.record.draw_curves", fail)
        with pytest.raises(expected):
            write_training(result, data, tmp_path / "out")
        assert sorted(tmp_path.iterdir()) == before


# The target


def make_preset(directory, content="{}"):
    directory.mkdir()
    for name in ("config.json", "training.json"):
        (directory / name).write_text(content)
    return directory


def test_target_that_exists_is_replaced_only_when_told(tmp_path):
    target = make_preset(tmp_path / "out", "old")
    with pytest.raises(OutputError, match=r"exists already.*`force`"):
        check_directory(target)
    with atomic_directory(target, force=True) as work:
        (work / "config.json").write_text("new")
    assert [path.name for path in target.iterdir()] == ["config.json"]
    assert list(tmp_path.iterdir()) == [target]


def test_replaced_target_is_untouched_when_writing_fails(tmp_path):
    target = make_preset(tmp_path / "out", "old")

    def write_and_fail():
        with atomic_directory(target, force=True) as work:
            (work / "config.json").write_text("new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_fail()
    assert (target / "config.json").read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_force_never_replaces_what_training_did_not_write(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letters.txt").write_text("dear")
    with pytest.raises(OutputError, match="`force` replaces only"):
        check_directory(tmp_path / "home", force=True)


def test_target_that_cannot_be(tmp_path):
    with pytest.raises(OutputError, match=r"does not exist.*mkdir -p"):
        check_directory(tmp_path / "absent" / "out")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="must be a directory"):
        check_directory(tmp_path / "file", force=True)
    (tmp_path / "empty").mkdir()
    assert check_directory(tmp_path / "empty") == tmp_path / "empty"


def test_the_learning_rate_falls_with_the_width():
    rates = [from_scratch_settings(width).learning_rate for width in (16, 128, 256, 512)]
    assert rates == [1e-3, 1e-3, 5e-4, 2.5e-4]
    assert from_scratch_settings(128) == FROM_SCRATCH
    assert [FINE_TUNING.with_rate(width).learning_rate for width in (384, 192, 96)] == [1e-4, 4e-4, 1e-3]
    assert replace(FINE_TUNING, learning_rate=3e-5).with_rate(96).learning_rate == 3e-5
