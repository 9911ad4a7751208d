"""A layer that only averages becomes a mean in the file; one that does anything else stays a layer."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from edgedistil.builder import BackboneSize, build_backbone, build_classifier, build_preprocessor
from edgedistil.training.pooling import with_mean_pooling
from edgedistil_converters import QuantizationPlan
from edgedistil_converters.convert import convert_classifier
from edgedistil_converters.model.float_outputs import float_probabilities
from edgedistil_converters.model.keras_hub import read_weights
from edgedistil_converters.model.keras_token_ids import unpadded_rows
from edgedistil_converters.model.mean_pooling import fold_mean_pooling
from edgedistil_converters.model.read_classifier import read_classifier
from edgedistil_converters.targets.edgetpu import _float_inputs, build_int8_encoder
from edgedistil_converters.targets.edgetpu_graph import EdgeTPUGraph
from edgedistil_converters.targets.parts import padded_row
from edgedistil_runtime import TextClassifier

WORDS = ["turn", "the", "lights", "on", "off", "play", "some", "music", "rain"]
TEXTS = ["turn the lights on", "off", "play some music on the lights", "rain rain", "", "the music"]
LABELS = ("a", "b", "c")


def _classifier():
    """Wide weights, so that a mean over padding or another weight of the first position would be seen."""
    keras.utils.set_random_seed(1)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    backbone = build_backbone(BackboneSize(2, 16, 2, 32), vocabulary_size=len(vocabulary), max_sequence_length=16)
    random = np.random.default_rng(2)
    for variable in backbone.weights:
        noise = random.normal(0, 0.3, variable.shape).astype("float32")
        variable.assign(noise + (1.0 if variable.path.endswith("gamma") else 0.0))
    preprocessor = build_preprocessor(vocabulary, sequence_length=16)
    return build_classifier(with_mean_pooling(backbone), 3, preprocessor=preprocessor, activation="softmax")


def _sharp(weights):
    """Larger weights of the last layer, so that texts have different probabilities."""
    return replace(weights, logits=replace(weights.logits, kernel=80 * weights.logits.kernel))


@pytest.fixture(scope="module")
def pooled():
    return _classifier()


def test_folded_weights_compute_the_same(pooled):
    weights = read_weights(pooled)
    folded = fold_mean_pooling(weights)
    assert (len(weights.layers), len(folded.layers), folded.mean_pooling.weight) == (3, 2, 16.0)
    assert folded.parameters < weights.parameters
    rows = [[2, 5, 6, 7, 8, 3], [2, 3], [2, 10, 11, 12, 8, 6, 7, 3]]  # padded to the longest
    np.testing.assert_allclose(
        float_probabilities(folded, rows, 0), float_probabilities(weights, rows, 0), atol=2e-6, rtol=0
    )


@pytest.mark.parametrize("scheme", ["fp32", "fp16", "int8", "int4"])
def test_a_file_has_the_mean_and_answers_as_keras(pooled, tmp_path, scheme):
    path = tmp_path / "pooled.tflite"
    conversion = convert_classifier(pooled, LABELS, path, plan=QuantizationPlan(scheme), calibration_texts=TEXTS)
    layers = {site.split("/")[0] for site in conversion.structure.matmuls if "/" in site}
    assert layers == {"transformer_layer_0", "transformer_layer_1"}
    assert conversion.artifact.metadata.model["num_layers"] == 2
    expected = pooled.predict(TEXTS, verbose=0)
    with TextClassifier(path) as model:
        for given in ([model.classify(text) for text in TEXTS], model.classify_batch(TEXTS)):
            found = np.array([[result.probabilities[label] for label in LABELS] for result in given])
            np.testing.assert_allclose(found, expected, atol=2e-5 if scheme == "fp32" else 0.1)
    names = {tensor.name.decode() for graph in _graphs(path) for tensor in graph.tensors}
    assert {"classify_text/mean_pooling", "classify_text/mean_pooling_norm", "classify_tokens/mean_pooling"} <= names


@pytest.mark.parametrize("form", [{}, {"is_for_torq": True}, {"has_batch_matmul": True}], ids=str)
def test_the_graph_of_int8_encoders_averages_the_tokens(pooled, form):
    """In float; GELU by a sigmoid is the only approximation."""
    weights = fold_mean_pooling(_sharp(read_weights(pooled)))
    graph, rows = EdgeTPUGraph(weights, **form), [[2, 5, 6, 7, 8, 3], [2, 3], [2, *[6] * 13, 10, 3]]
    due = float_probabilities(weights, rows, 0)
    assert np.ptp(due, axis=0).max() > 0.12
    for row, expected in zip(rows, due, strict=True):
        found = graph.classify(**_float_inputs(weights, padded_row(row, 16, 0), 0)).numpy()[0]
        np.testing.assert_allclose(found, expected, rtol=0, atol=0.01)


@pytest.mark.parametrize("target", ["edgetpu", "coralboard"])
def test_int8_encoders_have_the_mean_and_not_the_layer(pooled, target):
    """The layer has queries of 0, and with its ranges LiteRT's kernels end the process."""
    read = read_classifier(pooled)
    weights, rows = _sharp(read.weights), unpadded_rows(pooled.preprocessor, TEXTS)
    built = build_int8_encoder(weights, read.settings, QuantizationPlan("int8-static"), rows, target=target)
    [subgraph] = schema.ModelT.InitFromPackedBuf(built.flatbuffer, 0).subgraphs
    names = [tensor.name.decode() for tensor in subgraph.tensors]
    assert any("mean_pooling" in name for name in names) and not any("transformer_layer_2" in name for name in names)
    interpreter = Interpreter(model_content=built.flatbuffer, num_threads=1)
    interpreter.allocate_tensors()
    found = []
    for row in rows:
        ids = padded_row(row, 16, 0)[0]
        values = built.inputs(weights.token_embeddings[ids] + weights.position_embeddings[:16], np.float32(ids != 0))
        for detail in interpreter.get_input_details():
            interpreter.set_tensor(detail["index"], values[detail["name"]].numpy())
        interpreter.invoke()
        found.append((interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0] + 128.0) / 256)
    due = float_probabilities(weights, rows, 0)
    assert np.ptp(due, axis=0).max() > 0.12
    np.testing.assert_allclose(np.array(found), due, rtol=0, atol=0.03)


def test_fixed_ranges_keep_the_layer(pooled, tmp_path):
    path = tmp_path / "static.tflite"
    plan = QuantizationPlan("int8-static")
    conversion = convert_classifier(pooled, LABELS, path, plan=plan, calibration_texts=TEXTS, min_agreement=0)
    assert "transformer_layer_2/value" in conversion.structure.matmuls


@pytest.mark.parametrize(
    ("layer", "variable"),
    [
        ("_self_attention_layer.query_dense", "bias"),
        ("_self_attention_layer.value_dense", "kernel"),
        ("_self_attention_layer.output_dense", "bias"),
        ("_feedforward_output_dense", "kernel"),
        ("_self_attention_layer_norm", "gamma"),
        ("_self_attention_layer_norm", "beta"),
    ],
)
def test_a_layer_that_was_changed_stays(layer, variable):
    classifier = _classifier()
    found = classifier.backbone.transformer_layers[-1]
    for name in (*layer.split("."), variable):
        found = getattr(found, name)
    changed = np.array(found)
    changed.flat[-1] += 0.01
    found.assign(changed)
    weights = read_weights(classifier)
    assert fold_mean_pooling(weights) is weights


def test_the_second_layer_norm_may_be_trained(pooled):
    classifier = _classifier()
    norm = classifier.backbone.transformer_layers[-1]._feedforward_layer_norm
    norm.gamma.assign(np.linspace(0.5, 2, 16))
    norm.beta.assign(np.linspace(-1, 1, 16))
    weights = read_weights(classifier)
    rows = [[2, 5, 6, 3], [2, 11, 3]]
    folded = fold_mean_pooling(weights)
    assert folded.mean_pooling is not None
    found, expected = (float_probabilities(form, rows, 0) for form in (folded, weights))
    np.testing.assert_allclose(found, expected, atol=2e-6, rtol=0)


def _graphs(path):
    return schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0).subgraphs
