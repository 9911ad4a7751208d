"""Checkpoints that Keras or KerasHub wrote: presets of BERTs, and `.keras` files."""

import keras
import keras_hub
import numpy as np
import pytest

from edgedistil.presets.loading import NoTrainedHead, load_classifier, load_labelled_classifier
from edgedistil_runtime.errors import PresetError

from .bert_checkpoints import (
    IDS,
    POSITIONS,
    ROWS,
    VOCABULARY,
    features,
)

KINDS = ("distilbert", "bert")


# KerasHub's BERTs


def keras_hub_bert(dtype=None):
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=ROWS,
        num_layers=2,
        num_heads=2,
        hidden_dim=16,
        intermediate_dim=32,
        max_sequence_length=POSITIONS,
        dtype=dtype,
    )
    preprocessor = keras_hub.models.BertTextClassifierPreprocessor(
        keras_hub.models.BertTokenizer(VOCABULARY, lowercase=True), sequence_length=12
    )
    classifier = keras_hub.models.BertTextClassifier(backbone, 3, preprocessor=preprocessor, dropout=0.3)
    random = np.random.default_rng(3)
    for variable in classifier.weights:
        noise = random.normal(0, 0.3, variable.shape).astype("float32")
        variable.assign(noise + (1.0 if variable.path.endswith("gamma") else 0.0))
    return classifier


def test_trained_keras_hub_bert(tmp_path):
    bert = keras_hub_bert()
    bert.save_to_preset(str(tmp_path / "p"))
    classifier = load_classifier(tmp_path / "p")
    inputs = features(IDS)
    due = bert({**inputs, "segment_ids": np.zeros_like(inputs["token_ids"])}, training=False)
    np.testing.assert_allclose(classifier(inputs, training=False), due, atol=1e-5)
    texts = ["turn the lights on", "Is it raining?"]
    np.testing.assert_allclose(classifier.predict(texts, verbose=0), bert.predict(texts, verbose=0), atol=1e-5)
    assert classifier.preprocessor.sequence_length == 12 and classifier.dropout == 0.3


def test_keras_hub_bert_backbone_takes_a_new_head(tmp_path):
    bert = keras_hub_bert()
    bert.backbone.save_to_preset(str(tmp_path / "p"))
    bert.preprocessor.save_to_preset(str(tmp_path / "p"))
    with pytest.raises(NoTrainedHead):
        load_classifier(tmp_path / "p")
    classifier = load_classifier(tmp_path / "p", num_classes=2)
    inputs = features(IDS)
    due = bert.backbone({**inputs, "segment_ids": np.zeros_like(inputs["token_ids"])}, training=False)
    found = classifier.backbone(inputs, training=False)
    for row, expected, ids in zip(found, due["sequence_output"], IDS, strict=True):
        np.testing.assert_allclose(row[: len(ids)], expected[: len(ids)], atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_mixed_precision_preset_computes_in_float32(tmp_path, kind, make_tiny_classifier):
    if kind == "bert":
        source = keras_hub_bert(dtype="mixed_float16")
    else:
        tiny = make_tiny_classifier()
        config = {**tiny.backbone.get_config(), "dtype": "mixed_float16"}
        backbone = keras_hub.models.DistilBertBackbone.from_config(config)
        source = keras_hub.models.DistilBertTextClassifier(backbone, 3, preprocessor=tiny.preprocessor)
    source.save_to_preset(str(tmp_path / "p"))
    classifier = load_classifier(tmp_path / "p")
    assert classifier.backbone.compute_dtype == "float32" and classifier.output_dense.compute_dtype == "float32"
    np.testing.assert_array_equal(
        np.asarray(classifier.output_dense.kernel), np.asarray(source.output_dense.kernel, np.float32)
    )


# Files of Keras


def test_keras_file_of_a_distil_bert(tmp_path, tiny_classifier):
    path = tmp_path / "model.keras"
    tiny_classifier.save(path)
    found = load_labelled_classifier(path)
    due = tiny_classifier(features(IDS), training=False)
    np.testing.assert_allclose(found.classifier(features(IDS), training=False), due, atol=1e-6)
    assert (found.labels, found.name) == (("class_0", "class_1", "class_2"), "model")
    assert load_classifier(path, num_classes=7).num_classes == 7
    softmax = load_classifier(path, activation="softmax")
    np.testing.assert_allclose(np.sum(softmax(features(IDS), training=False), axis=1), 1, atol=1e-6)


def test_keras_file_of_a_bert(tmp_path):
    bert = keras_hub_bert()
    bert.save(tmp_path / "bert.keras")
    found = load_classifier(tmp_path / "bert.keras")
    texts = ["turn the lights on", "Is it raining?"]
    np.testing.assert_allclose(found.predict(texts, verbose=0), bert.predict(texts, verbose=0), atol=1e-5)


def test_keras_files_that_are_refused(tmp_path, tiny_classifier):
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)]).save(tmp_path / "other.keras")
    with pytest.raises(PresetError, match=r"must hold a text classifier.*which is a Sequential"):
        load_labelled_classifier(tmp_path / "other.keras")
    keras_hub.models.DistilBertTextClassifier(tiny_classifier.backbone, 3).save(tmp_path / "bare.keras")
    with pytest.raises(PresetError, match="preprocessor=None"):
        load_labelled_classifier(tmp_path / "bare.keras")
    (tmp_path / "broken.keras").write_bytes(b"no archive")
    with pytest.raises(PresetError, match="cannot be read"):
        load_labelled_classifier(tmp_path / "broken.keras")
