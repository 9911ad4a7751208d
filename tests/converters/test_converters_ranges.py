"""Ranges of activations: what the float model really reaches, and how they spread over a graph."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgedistil_converters import QuantizationPlan
from edgedistil_converters.flatbuffer import convert_module
from edgedistil_converters.graph.classifier import EdgeGraph
from edgedistil_converters.graph.embeddings import FloatTable
from edgedistil_converters.graph.ops import SingleText
from edgedistil_converters.interface import ModelInterface
from edgedistil_converters.model.keras_hub import read_weights
from edgedistil_converters.model.keras_token_ids import unpadded_rows
from edgedistil_converters.quantization.observed_ranges import activation_ranges
from edgedistil_converters.quantization.ranges import quantizer_statistics
from edgedistil_converters.sites import ACTIVATION_SITES
from edgedistil_converters.tflite.site_names import site_of
from edgedistil_converters.tokenizer.settings import read_tokenizer

LAYERS, HEADS, SEQUENCE_LENGTH = 2, 2, 24
GELU_FLOOR, SOFTMAX_REACH = -4.0, 12.0
# Float32 sums in another order, relative to the largest number of a site.
TOLERANCE = 1e-5
MOVING = ("RESHAPE", "TRANSPOSE", "SLICE", "STRIDED_SLICE", "SQUEEZE", "EXPAND_DIMS")
TEXTS = ("", "turn on the light", "play music! " * 9, "NASA in Paris, 東京")
ROW_LENGTHS = (2, 5, 9, SEQUENCE_LENGTH)


@pytest.fixture(scope="module")
def steep(make_classifier):
    """A classifier that reaches below what GELU and softmax let through, and one of whose steps never reaches 0."""
    classifier = make_classifier()
    for layer in classifier.backbone.transformer_layers:
        dense, query = layer._feedforward_intermediate_dense, layer._self_attention_layer._query_dense
        dense.kernel.assign(4 * dense.kernel)
        query.kernel.assign(12 * query.kernel)
    value = classifier.backbone.transformer_layers[-1]._self_attention_layer._value_dense
    value.bias.assign(0 * value.bias + 50)
    return classifier


def float_file(classifier, interface):
    from edgedistil_converters.signatures import TextClassifierModule

    plan = QuantizationPlan("fp32")
    module = TextClassifierModule(read_weights(classifier), *read_tokenizer(classifier.preprocessor), plan, interface)
    return convert_module(module, plan, {})


@pytest.fixture(scope="module")
def model(steep):
    return float_file(steep, ModelInterface())


@pytest.fixture(scope="module")
def rows(steep):
    size = steep.backbone.vocabulary_size
    return [np.random.default_rng(n).integers(5, size, n).astype(np.int32) for n in ROW_LENGTHS]


@pytest.fixture(scope="module")
def ranges(model, rows):
    return activation_ranges(model, (row.tolist() for row in rows))


@pytest.fixture(scope="module")
def computed(steep, rows):
    """Site -> what the edge graph computes there in TensorFlow, one array a row."""
    import tensorflow as tf

    weights, found = read_weights(steep), {}

    class Recording(SingleText):
        def dense(self, site, x, *, activation=None):
            return self._kept(site, super().dense(site, x, activation=activation))

        def norm(self, site, x):
            return self._kept(site, super().norm(site, x))

        def add(self, site, x, y):
            return self._kept(site, super().add(site, x, y))

        def _kept(self, site, value):
            found.setdefault(site, []).append(value.numpy())
            return value

    graph = EdgeGraph(
        weights, FloatTable(weights.token_embeddings), FloatTable(weights.position_embeddings[:SEQUENCE_LENGTH])
    )
    for row in rows:
        graph.classify_embeddings(graph.embed(row[None]), Recording(weights))
    for layer in [f"transformer_layer_{i}" for i in range(LAYERS)]:
        found |= attention_of(layer, found)
        found[f"{layer}/gelu"] = [tf.nn.gelu(value).numpy() for value in found[f"{layer}/intermediate"]]
    return found


def attention_of(layer, found):
    """Scores and mixed values of a layer, from its queries, keys and values."""
    import tensorflow as tf

    parts = zip(*(found[f"{layer}/{name}"] for name in ("query", "key", "value")), strict=True)
    scores, mixed = [], []
    for query, key, value in (map(split_heads, part) for part in parts):
        scores.append(query @ key.transpose(0, 2, 1))
        mixed.append(tf.nn.softmax(scores[-1]).numpy() @ value)
    return {f"{layer}/scores": scores, f"{layer}/mixed": mixed}


def split_heads(x):
    return x.reshape(len(x), HEADS, -1).transpose(1, 0, 2)


def test_there_is_a_range_for_every_site(ranges):
    due = {f"transformer_layer_{i}/{name}" for i in range(LAYERS) for name in ACTIVATION_SITES}
    assert set(ranges) >= {*due, "embeddings_layer_norm", "pooled_dense", "logits"}
    assert not [site for site in ranges if "masked" in site]
    for least, greatest in ranges.values():
        assert isinstance(least, float)
        assert isinstance(greatest, float)
        assert least <= 0 <= greatest
        assert greatest > least


def test_ranges_are_what_the_edge_graph_reaches(ranges, computed):
    compared = 0
    for site, values in computed.items():
        least, greatest = float(min(v.min() for v in values)), float(max(v.max() for v in values))
        close = TOLERANCE * max(abs(least), abs(greatest))
        assert ranges[site][1] == pytest.approx(max(greatest, 0), abs=close), site
        if not site.endswith(("/scores", "/intermediate")):
            assert ranges[site][0] == pytest.approx(min(least, 0), abs=close), site
            compared += 1
    assert compared == LAYERS * (len(ACTIVATION_SITES) - 3) + 3
    assert ranges["transformer_layer_1/value"][0] == 0 < min(v.min() for v in computed["transformer_layer_1/value"])


def test_what_gelu_does_not_let_through_is_left_out(ranges, computed):
    for i in range(LAYERS):
        values = computed[f"transformer_layer_{i}/intermediate"]
        assert min(v.min() for v in values) < 2 * GELU_FLOOR
        assert ranges[f"transformer_layer_{i}/intermediate"][0] == GELU_FLOOR


def test_what_softmax_does_not_let_through_is_left_out(ranges, computed):
    for i in range(LAYERS):
        scores = computed[f"transformer_layer_{i}/scores"]
        due = min(max(v.min(), v.max(-1).min() - SOFTMAX_REACH) for v in scores)
        assert min(v.min() for v in scores) < due - 1
        assert ranges[f"transformer_layer_{i}/scores"][0] == pytest.approx(due, abs=1e-3)


def test_attention_is_a_probability(ranges):
    assert [ranges[f"transformer_layer_{i}/attention"] for i in range(LAYERS)] == [(0, 1)] * LAYERS


def test_reaches_that_are_inside_of_the_rules_are_kept(classifier, convert):
    """The rules cut ranges and never widen them."""
    calm = activation_ranges(convert("fp32").artifact.flatbuffer(), [[2, 3]])
    assert GELU_FLOOR < calm["transformer_layer_0/intermediate"][0] < 0
    assert -SOFTMAX_REACH < calm["transformer_layer_0/scores"][0] <= 0


def test_more_rows_never_narrow_a_range(model, rows, ranges):
    for site, (least, greatest) in activation_ranges(model, rows[:2]).items():
        assert ranges[site][0] <= least + 1e-6
        assert ranges[site][1] >= greatest - 1e-6


def test_texts_are_measured_without_their_padding(steep):
    rows = unpadded_rows(steep.preprocessor, TEXTS)
    assert [row[:1] + row[-1:] for row in rows] == [(2, 3)] * len(TEXTS)
    assert len(rows[0]) == 2
    assert max(map(len, rows)) == SEQUENCE_LENGTH


@pytest.fixture(scope="module")
def content(model):
    return schema.ModelT.InitFromPackedBuf(model, 0)


def test_statistics_hold_the_range_of_every_site_in_all_signatures(content, ranges):
    found = quantizer_statistics(content, ranges)
    for signature, attention in (("classify_text", "attention"), ("classify_tokens", "masked_attention")):
        for site, (least, greatest) in ranges.items():
            name = f"{signature}/{site.replace('attention', attention) if site.endswith('/attention') else site}"
            assert found[name] == {"min": np.float32(least), "max": np.float32(greatest)}, name
            assert found[name]["min"].dtype == np.float32


def test_ops_that_move_numbers_keep_their_range(content, ranges):
    found, moved = quantizer_statistics(content, ranges), 0
    codes = {getattr(schema.BuiltinOperator, name) for name in MOVING}
    names = {f"{s.signatureKey.decode()}/": content.subgraphs[s.subgraphIndex] for s in content.signatureDefs}
    for subgraph in names.values():
        for op in subgraph.operators:
            source, output = (subgraph.tensors[i].name.decode() for i in (op.inputs[0], op.outputs[0]))
            if content.operatorCodes[op.opcodeIndex].builtinCode in codes and source in found:
                assert found[output] == found[source]
                moved += 1
    # Per signature and layer: queries, keys and values are split into heads, mixed ones merged, each in two steps.
    assert moved >= 2 * LAYERS * 4 * 2
    sites = {name for name in found if site_of(name, name.split("/")[0]).replace("masked_", "") in ranges}
    assert len(sites) + moved == len(found)


def test_statistics_of_some_ranges_are_of_these_alone(content):
    found = quantizer_statistics(content, {"transformer_layer_1/gelu": (-0.5, 2.0)})
    due = {"min": np.float32(-0.5), "max": np.float32(2)}
    assert found == dict.fromkeys((f"{s}/transformer_layer_1/gelu" for s in ("classify_text", "classify_tokens")), due)
    assert quantizer_statistics(content, {}) == {}


def test_the_form_for_mediapipe_is_measured_too(steep, rows, ranges):
    """Its rows have a fixed length, so what stands in the padding is measured with them."""
    model = float_file(steep, ModelInterface("none", metadata="mediapipe"))
    found = activation_ranges(model, rows)
    assert set(found) == {*ranges, "probabilities"}
    for site, (least, greatest) in ranges.items():
        close = TOLERANCE * max(-least, greatest)
        assert found[site][1] >= greatest - close, site
        if not site.endswith("/scores"):
            assert found[site][0] <= least + close, site
    assert found["logits"] == pytest.approx(ranges["logits"], abs=1e-4)
    assert found["pooled_dense"] == pytest.approx(ranges["pooled_dense"], abs=1e-4)
