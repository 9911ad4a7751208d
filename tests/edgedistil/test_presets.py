"""Presets by name, handle and directory, in both formats, and the ways in which one can be unusable."""

import json
import shutil

import keras_hub
import numpy as np
import pytest
from safetensors.numpy import save_file

from edgedistil.builder import build_preprocessor
from edgedistil.presets import bundled_preset_path, list_presets
from edgedistil.presets.loading import load_classifier, load_labelled_classifier
from edgedistil.presets.registry import BUNDLED
from edgedistil_runtime.errors import PresetError

TEXTS = ["turn the lights on", "play some music", "is it raining ?", ""]


def predictions(classifier):
    return classifier.predict(TEXTS, verbose=0)


@pytest.fixture
def preset_copy(tiny_preset, tmp_path):
    return shutil.copytree(tiny_preset, tmp_path / "copy")


def hugging_face_config(backbone, **changes):
    config = {
        "architectures": ["DistilBertForSequenceClassification"],
        "model_type": "distilbert",
        "activation": "gelu",
        "vocab_size": backbone.vocabulary_size,
        "n_layers": backbone.num_layers,
        "n_heads": backbone.num_heads,
        "dim": backbone.hidden_dim,
        "hidden_dim": backbone.intermediate_dim,
        "dropout": 0.1,
        "seq_classif_dropout": 0.25,
        "max_position_embeddings": backbone.max_sequence_length,
        "id2label": {"2": "weather", "0": "lights", "1": "music"},
        **changes,
    }
    return {key: value for key, value in config.items() if value is not None}


def hugging_face_weights(classifier):
    """The classifier's weights under the names and in the layout of transformers' checkpoints."""
    backbone, weights = classifier.backbone, {}

    def dense(name, layer, shape=None):
        kernel = np.array(layer.kernel)
        inputs = backbone.hidden_dim if shape is None else shape
        weights[f"{name}.weight"] = np.ascontiguousarray(kernel.reshape(inputs, -1).T)
        weights[f"{name}.bias"] = np.array(layer.bias).reshape(-1)

    def norm(name, layer):
        weights[f"{name}.weight"], weights[f"{name}.bias"] = np.array(layer.gamma), np.array(layer.beta)

    root = "distilbert.embeddings"
    weights[f"{root}.word_embeddings.weight"] = np.array(backbone.token_embedding.embeddings)
    weights[f"{root}.position_embeddings.weight"] = np.array(backbone.embeddings.position_embedding.position_embeddings)
    norm(f"{root}.LayerNorm", backbone.embeddings_layer_norm)
    for index, layer in enumerate(backbone.transformer_layers):
        root = f"distilbert.transformer.layer.{index}"
        attention = layer._self_attention_layer
        dense(f"{root}.attention.q_lin", attention.query_dense)
        dense(f"{root}.attention.k_lin", attention.key_dense)
        dense(f"{root}.attention.v_lin", attention.value_dense)
        dense(f"{root}.attention.out_lin", attention.output_dense)
        dense(f"{root}.ffn.lin1", layer._feedforward_intermediate_dense)
        dense(f"{root}.ffn.lin2", layer._feedforward_output_dense, backbone.intermediate_dim)
        norm(f"{root}.sa_layer_norm", layer._self_attention_layer_norm)
        norm(f"{root}.output_layer_norm", layer._feedforward_layer_norm)
    dense("pre_classifier", classifier.pooled_dense)
    dense("classifier", classifier.output_dense)
    return weights


def write_hugging_face(directory, classifier, vocabulary, *, weights=None, tokenizer=None, **config):
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps(hugging_face_config(classifier.backbone, **config)))
    (directory / "tokenizer_config.json").write_text(json.dumps(tokenizer or {"do_lower_case": True}))
    (directory / "vocab.txt").write_text("".join(f"{piece}\n" for piece in vocabulary), encoding="utf-8")
    save_file(hugging_face_weights(classifier) if weights is None else weights, directory / "model.safetensors")
    return directory


@pytest.fixture
def hugging_face_preset(tmp_path, tiny_classifier, tiny_vocabulary):
    return write_hugging_face(tmp_path / "hugging_face", tiny_classifier, tiny_vocabulary)


# Names


def test_table_of_built_in_presets_is_keras_hubs():
    left_out = {"all_minilm_l6_v2_en", "multilingual_e5_small"}  # found elsewhere; SentencePiece
    built_in = dict(keras_hub.models.DistilBertBackbone.presets) | {
        name: preset
        for name, preset in keras_hub.models.BertBackbone.presets.items()
        if name not in left_out and preset["metadata"]["params"] < 200_000_000
    }
    table = {info.name: info for info in list_presets() if info.source.startswith("kaggle://")}
    assert {name: info.parameters for name, info in table.items()} == {
        name: preset["metadata"]["params"] for name, preset in built_in.items()
    }
    assert {name: info.source for name, info in table.items()} == {
        name: preset["kaggle_handle"] for name, preset in built_in.items()
    }


def test_bundled_presets_are_there_or_named_as_missing():
    for name in BUNDLED:
        listed = [info for info in list_presets() if info.name == name]
        if listed:
            assert (bundled_preset_path(name) / "task.weights.h5").is_file()
            assert listed[0].has_trained_head
        else:
            with pytest.raises(PresetError, match="missing"):
                bundled_preset_path(name)
    with pytest.raises(PresetError, match="Received: 'other'"):
        bundled_preset_path("other")


# KerasHub's format


def test_keras_hub_directory_gives_the_same_classifier(tiny_preset, tiny_classifier, tiny_labels):
    loaded = load_labelled_classifier(tiny_preset)
    np.testing.assert_array_equal(predictions(loaded.classifier), predictions(tiny_classifier))
    assert loaded.labels == tiny_labels
    assert (loaded.name, loaded.source) == ("tiny_preset", "tiny_preset")
    assert loaded.classifier.preprocessor.sequence_length == 16


def test_new_head_on_a_presets_backbone(tiny_preset, tiny_classifier):
    classifier = load_classifier(tiny_preset, num_classes=5, hidden_dim=9, dropout=0.4, sequence_length=8)
    assert (classifier.num_classes, classifier.hidden_dim, classifier.dropout) == (5, 9, 0.4)
    assert classifier.preprocessor.sequence_length == 8
    np.testing.assert_array_equal(
        np.array(classifier.backbone.token_embedding.embeddings),
        np.array(tiny_classifier.backbone.token_embedding.embeddings),
    )


def test_preprocessor_of_ones_own_keeps_its_vocabulary(tiny_preset, tiny_vocabulary):
    preprocessor = build_preprocessor(tiny_vocabulary[:8], sequence_length=6)
    classifier = load_classifier(tiny_preset, preprocessor=preprocessor)
    assert classifier.preprocessor.tokenizer.get_vocabulary() == tiny_vocabulary[:8]
    assert load_classifier(tiny_preset, preprocessor=None).preprocessor is None


def test_without_weights_it_is_the_architecture_only(tiny_preset, tiny_classifier):
    classifier = load_classifier(tiny_preset, load_weights=False)
    assert classifier.count_params() == tiny_classifier.count_params()
    assert np.abs(predictions(classifier) - predictions(tiny_classifier)).max() > 0.01


def test_activation_can_be_put_on_a_trained_head(tiny_preset, tiny_classifier):
    logits = predictions(tiny_classifier)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    softmax = load_classifier(tiny_preset, activation="softmax")
    np.testing.assert_allclose(predictions(softmax), probabilities, atol=1e-6)


@pytest.mark.parametrize("missing", ["task.json", "task.weights.h5"])
def test_no_trained_head_says_what_to_do(preset_copy, missing):
    (preset_copy / missing).unlink()
    with pytest.raises(PresetError, match=r"no trained head.*`training`.*`edgedistil train`"):
        load_labelled_classifier(preset_copy)
    assert load_classifier(preset_copy, num_classes=2).num_classes == 2


def test_labels(preset_copy):
    (preset_copy / "labels.txt").unlink()
    assert load_labelled_classifier(preset_copy).labels == ("class_0", "class_1", "class_2")
    assert load_labelled_classifier(preset_copy, labels=("x", "y", "z")).labels == ("x", "y", "z")
    (preset_copy / "labels.txt").write_text("x\ny\nz\n", encoding="utf-8-sig")
    assert load_labelled_classifier(preset_copy).labels == ("x", "y", "z")
    (preset_copy / "labels.txt").write_text("x\ny\n")
    with pytest.raises(PresetError, match=r"3 outputs.*2 labels: x, y"):
        load_labelled_classifier(preset_copy)
    (preset_copy / "labels.txt").write_text("x\ny\nx\n")
    with pytest.raises(PresetError, match="must differ"):
        load_labelled_classifier(preset_copy)


@pytest.mark.parametrize("length", [2, 17])
def test_sequence_length_within_the_backbones_positions(tiny_preset, length):
    with pytest.raises(PresetError, match=f"from 3 .* to 16.*Received: {length}"):
        load_classifier(tiny_preset, sequence_length=length)


# Hugging Face's format


def test_hugging_face_directory_gives_the_same_classifier(hugging_face_preset, tiny_classifier, tiny_labels):
    loaded = load_labelled_classifier(hugging_face_preset)
    np.testing.assert_allclose(predictions(loaded.classifier), predictions(tiny_classifier), atol=1e-6)
    assert loaded.labels == tiny_labels
    assert loaded.classifier.preprocessor.sequence_length == 16
    assert loaded.classifier.preprocessor.tokenizer.lowercase is True
    assert loaded.classifier.dropout == 0.25


def test_hugging_face_default_labels_are_left_out_of_its_config(tmp_path, tiny_classifier, tiny_vocabulary):
    preset = write_hugging_face(
        tmp_path / "p", tiny_classifier, tiny_vocabulary, id2label=None, tokenizer={"do_lower_case": False}
    )
    loaded = load_labelled_classifier(preset)
    assert loaded.labels == ("LABEL_0", "LABEL_1", "LABEL_2")
    assert loaded.classifier.preprocessor.tokenizer.lowercase is False


def test_hugging_face_backbone_takes_a_new_head(hugging_face_preset):
    assert load_classifier(hugging_face_preset, num_classes=4).num_classes == 4


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"architectures": ["DistilBertForMaskedLM"]}, "no trained head"),
        ({"architectures": None}, "no trained head"),
        ({"activation": "relu"}, "GELU.*'relu'"),
        ({"problem_type": "regression"}, "regression"),
        ({"model_type": "roberta"}, "must hold a DistilBERT or a BERT.*which is a roberta"),
        ({"id2label": {"0": "a", "1": "b", "2": "c", "3": "d"}}, "3 outputs.*4 labels"),
    ],
)
def test_hugging_face_variants_that_are_refused(tmp_path, tiny_classifier, tiny_vocabulary, config, message):
    preset = write_hugging_face(tmp_path / "p", tiny_classifier, tiny_vocabulary, **config)
    with pytest.raises(PresetError, match=message):
        load_labelled_classifier(preset)


# Damage


@pytest.mark.parametrize("name", ["config.json", "task.json", "model.weights.h5", "task.weights.h5"])
def test_damaged_keras_hub_file(preset_copy, name):
    path = preset_copy / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(PresetError, match="cannot be read") as caught:
        load_labelled_classifier(preset_copy)
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize("name", ["model.safetensors", "vocab.txt", "tokenizer_config.json"])
def test_missing_or_damaged_hugging_face_file(hugging_face_preset, name):
    (hugging_face_preset / name).write_bytes(b"")
    with pytest.raises(PresetError, match="cannot be read"):
        load_labelled_classifier(hugging_face_preset)
    (hugging_face_preset / name).unlink()
    if name == "tokenizer_config.json":  # transformers takes its defaults then
        assert load_labelled_classifier(hugging_face_preset).classifier.preprocessor.tokenizer.lowercase is True
        return
    with pytest.raises(PresetError, match="cannot be read"):
        load_labelled_classifier(hugging_face_preset)


def test_another_architecture(tmp_path):
    keras_hub.models.RobertaBackbone(
        vocabulary_size=10, num_layers=1, num_heads=1, hidden_dim=4, intermediate_dim=4, max_sequence_length=4
    ).save_to_preset(str(tmp_path / "roberta"))
    with pytest.raises(PresetError, match=r"must hold a DistilBERT or a BERT.*which is a RobertaBackbone"):
        load_classifier(tmp_path / "roberta", num_classes=2)


@pytest.mark.parametrize("content", ["{}", "[]", '{"a": 1}'])
def test_config_that_is_no_presets(tmp_path, content):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(PresetError, match="preset"):
        load_classifier(tmp_path, num_classes=2)


def test_directory_that_is_no_preset(tmp_path):
    with pytest.raises(PresetError, match=r"no config\.json"):
        load_classifier(tmp_path, num_classes=2)


# Hubs


def test_unknown_preset_names_the_legal_ones():
    with pytest.raises(PresetError, match=r"distil_bert_base_en_uncased.*kaggle://.*hf://.*'distil_bert_bas'"):
        load_classifier("distil_bert_bas", num_classes=2)


@pytest.mark.parametrize("handle", ["hf://a b", "hf://", "kaggle://keras/distil_bert", "gs://bucket/x", "s3://x"])
def test_malformed_handle_shows_the_form(handle):
    with pytest.raises(PresetError, match="Received"):
        load_classifier(handle, num_classes=2)


@pytest.mark.parametrize(
    "preset", ["distil_bert_base_en", "kaggle://keras/distil_bert/keras/other/3", "hf://organisation/model"]
)
def test_unreachable_hub(preset, monkeypatch):
    def no_network(*arguments, **options):
        raise OSError("[Errno -2] Name or service not known")

    waits = []
    monkeypatch.setattr("socket.getaddrinfo", no_network)
    monkeypatch.setattr("time.sleep", waits.append)
    with pytest.raises(PresetError, match=r"could not be reached, or it refused.*path of its directory") as caught:
        load_classifier(preset, num_classes=2)
    assert preset in str(caught.value)
    assert caught.value.__cause__ is not None
    assert sum(waits) < 10


@pytest.mark.parametrize("format_fixture", ["tiny_preset", "hugging_face_preset"])
def test_downloaded_preset_is_one_like_any_other(format_fixture, request, monkeypatch, tiny_classifier):
    directory = request.getfixturevalue(format_fixture)
    fetched = []

    def get_file(handle, name):
        fetched.append(name)
        if not (directory / name).is_file():
            raise FileNotFoundError(name)
        return str(directory / name)

    monkeypatch.setattr("edgedistil.presets.download.get_file", get_file)
    loaded = load_labelled_classifier("kaggle://organisation/model/keras/variant/2")
    np.testing.assert_allclose(predictions(loaded.classifier), predictions(tiny_classifier), atol=1e-6)
    assert (loaded.name, loaded.source) == ("variant", "kaggle://organisation/model/keras/variant/2")
    assert ("task.weights.h5" in fetched) == (format_fixture == "tiny_preset")
