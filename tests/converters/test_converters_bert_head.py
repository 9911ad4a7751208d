"""A BERT's head (tanh), its GELU with tanh and its epsilon: through every kind of file, pruning and saving."""

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgedistil.builder import BackboneSize, build_backbone, build_classifier, build_preprocessor
from edgedistil_converters import QuantizationPlan
from edgedistil_converters.convert import convert_classifier
from edgedistil_converters.interface import ModelInterface
from edgedistil_converters.model.keras_hub import read_weights, write_weights
from edgedistil_converters.preparation.pruning import prune_classifier
from edgedistil_runtime.errors import ConversionError

WORDS = ["turn", "the", "lights", "on", "off", "play", "some", "music", "rain"]
TEXTS = ["turn the lights on", "turn the lights off", "play some music", "rain rain", "the music", "some rain on"]
LABELS = ("a", "b", "c")


@pytest.fixture(scope="module")
def bert():
    """Wide weights, so that a ReLU, the other GELU or another epsilon would be seen in the probabilities."""
    keras.utils.set_random_seed(1)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    backbone = build_backbone(
        BackboneSize(num_layers=2, hidden_dim=16, num_heads=2, intermediate_dim=32),
        vocabulary_size=len(vocabulary),
        max_sequence_length=16,
        layer_norm_epsilon=0.01,
        gelu="tanh",
    )
    preprocessor = build_preprocessor(vocabulary, sequence_length=16)
    classifier = build_classifier(backbone, 3, preprocessor=preprocessor, pooled_activation="tanh")
    random = np.random.default_rng(2)
    for variable in classifier.weights:
        noise = random.normal(0, 0.3, variable.shape).astype("float32")
        variable.assign(noise + (1.0 if variable.path.endswith("gamma") else 0.0))
    return classifier


def test_what_is_read_is_what_was_built(bert):
    weights = read_weights(bert)
    assert (weights.architecture.pooled_activation, weights.architecture.is_gelu_approximate) == ("tanh", True)
    assert {part.epsilon for part in weights.parts.values() if hasattr(part, "epsilon")} == {0.01}
    before = bert.predict(TEXTS, verbose=0)
    write_weights(bert, weights)
    np.testing.assert_allclose(bert.predict(TEXTS, verbose=0), before, atol=1e-6)


def test_another_activation_is_refused(bert, tiny_classifier):
    layer = bert.backbone.transformer_layers[0]._feedforward_intermediate_dense
    kept, layer.activation = layer.activation, keras.activations.relu
    with pytest.raises(ConversionError, match=r"must be GELU.*relu"):
        read_weights(bert)
    layer.activation = kept
    kept, bert.pooled_dense.activation = bert.pooled_dense.activation, keras.activations.elu
    with pytest.raises(ConversionError, match=r"relu or tanh.*'elu'"):
        read_weights(bert)
    bert.pooled_dense.activation = kept


@pytest.mark.parametrize(
    ("scheme", "target", "largest"),
    [("fp32", "cpu", 1e-5), ("int8", "cpu", 0.1), ("fp32", "gpu", 1e-5), ("int8-static", "edgetpu", 0.3)],
)
def test_every_kind_of_file_computes_it(bert, tmp_path, scheme, target, largest):
    """Without the tokenizer, half of the time of a conversion."""
    texts = TEXTS if scheme == "int8-static" else ()
    path = tmp_path / "model.tflite"
    plan = QuantizationPlan(scheme)
    found = convert_classifier(
        bert, LABELS, path, plan=plan, interface=ModelInterface("none"), target=target, calibration_texts=texts
    )
    assert found.parity.largest_difference < largest
    if scheme == "int8-static":
        content = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
        tanh = [
            subgraph.tensors[op.outputs[0]].type
            for subgraph in content.subgraphs
            for op in subgraph.operators
            if content.operatorCodes[op.opcodeIndex].builtinCode == schema.BuiltinOperator.TANH
        ]
        assert tanh and set(tanh) == {schema.TensorType.INT8}


def test_pruning_keeps_it(bert):
    pruned = prune_classifier(bert, TEXTS[:2]).classifier
    assert pruned.backbone.vocabulary_size < bert.backbone.vocabulary_size
    np.testing.assert_allclose(pruned.predict(TEXTS[:2], verbose=0), bert.predict(TEXTS[:2], verbose=0), atol=1e-6)


def test_pairs_are_refused_by_name(bert, tmp_path):
    with pytest.raises(ConversionError, match=r"BERT.*segment.*`takes_text_pair`"):
        convert_classifier(bert, LABELS, tmp_path / "m.tflite", interface=ModelInterface(takes_text_pair=True))
    assert not (tmp_path / "m.tflite").exists()
