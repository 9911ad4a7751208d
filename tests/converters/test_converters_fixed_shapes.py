"""Signatures of fixed shapes: static, over the same weights, with the answers of the signatures of open shapes."""

import re
from contextlib import closing

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgedistil_converters import ModelInterface, QuantizationPlan, convert_classifier
from edgedistil_converters.quantization.plan import LayerScheme
from edgedistil_converters.signatures import DEFAULT_SHAPES, FixedShapes, TextClassifierModule
from edgedistil_converters.tflite.op_names import OP_NAMES
from edgedistil_converters.verification.fixed_shapes import fixed_lengths
from edgedistil_runtime import TextClassifier, read_artifact
from edgedistil_runtime.backends import CompiledModelBackend, FixedOnlyBackend, default_backend
from edgedistil_runtime.errors import ConversionError, InputError, ParityError

from .conversions import names_in, refused
from .targets import TEXTS

LENGTHS = (8, 16, 24)  # the classifier reads 24
SIGNATURES = ["classify_text_128_16", "classify_text_128_8", "classify_text_192_24"]
ROUNDING = 1e-6
# Ops whose output has a shape that its values decide, and those that call other subgraphs.
DYNAMIC_OPS = {
    "WHERE",
    "RANGE",
    "SHAPE",
    "IF",
    "WHILE",
    "UNIQUE",
    "TOPK_V2",
    "BROADCAST_TO",
    "FILL",
    "NON_MAX_SUPPRESSION_V4",
}
CALIBRATION = [text for text in TEXTS if text]


@pytest.fixture(scope="module")
def convert_fixed(classifier, labels, tmp_path_factory):
    """`convert_fixed("int8", fixed_lengths=(8,))`: a file, converted once for each scheme and set of lengths."""
    folder, made = tmp_path_factory.mktemp("fixed"), {}

    def convert(scheme, **options):
        key = (scheme, repr(sorted(options.items())))
        if key not in made:
            plan = options.pop("plan", QuantizationPlan(scheme))
            calibration = CALIBRATION if scheme in ("int8-static", "int4") else ()
            path = folder / f"{len(made)}.tflite"
            options = {"fixed_lengths": LENGTHS, **options}
            convert_classifier(classifier, labels, path, plan=plan, calibration_texts=calibration, **options)
            made[key] = path
        return made[key]

    return convert


def fixed_only(path, length=None, **options):
    artifact = read_artifact(path)
    backend = FixedOnlyBackend(default_backend(path, tokenizer=artifact.metadata.tokenizer.kind), length)
    return TextClassifier(path, backend=backend, **options)


def subgraphs(path):
    """Signature -> (tensors, names of ops)."""
    model = schema.ModelT.InitFromPackedBuf(read_artifact(path).flatbuffer(), 0)
    found = {}
    for signature in model.signatureDefs:
        subgraph = model.subgraphs[signature.subgraphIndex]
        codes = (model.operatorCodes[op.opcodeIndex].builtinCode for op in subgraph.operators)
        found[signature.signatureKey.decode()] = subgraph.tensors, [OP_NAMES[code] for code in codes]
    return found


def open_shapes(tensors):
    return [tensor.name for tensor in tensors if tensor.shapeSignature is not None and -1 in tensor.shapeSignature]


def places_of_scales(flatbuffer):
    """Buffer of weights -> where the flatbuffer has the scales of its channels, over all signatures."""
    root, places = schema.Model.GetRootAs(flatbuffer, 0), {}
    for subgraph in map(root.Subgraphs, range(root.SubgraphsLength())):
        for tensor in map(subgraph.Tensors, range(subgraph.TensorsLength())):
            quantization = tensor.Quantization()
            if quantization is not None and quantization.ScaleLength() > 1:
                places.setdefault(tensor.Buffer(), set()).add(quantization._tab.Pos)
    return places


def places_of_operators(flatbuffer):
    """Signature -> where the flatbuffer has each of its ops."""
    root = schema.Model.GetRootAs(flatbuffer, 0)
    found = {}
    for signature in map(root.SignatureDefs, range(root.SignatureDefsLength())):
        subgraph = root.Subgraphs(signature.SubgraphIndex())
        ops = map(subgraph.Operators, range(subgraph.OperatorsLength()))
        found[signature.SignatureKey().decode()] = [op._tab.Pos for op in ops]
    return found


@pytest.mark.parametrize("scheme", ["fp32", "fp16", "int8", "int4", "int8-static"])
def test_rows_are_static_and_equal_those_of_open_shapes(convert_fixed, scheme):
    path = convert_fixed(scheme)
    found = subgraphs(path)
    static = [name for name in found if re.fullmatch(r"classify_tokens_\d+", name)]
    assert sorted(static) == ["classify_tokens_16", "classify_tokens_24", "classify_tokens_8"]
    for name in static:
        tensors, ops = found[name]
        assert open_shapes(tensors) == []
        assert DYNAMIC_OPS.isdisjoint(ops)
    assert open_shapes(found["classify_tokens"][0])  # or the check above could not fail
    with closing(default_backend(path)) as backend:
        for count in (2, 8, 9, 24):
            row = np.arange(5, 5 + count, dtype=np.int32)[None] % 20 + 2
            expected = backend.run("classify_tokens", {"token_ids": row})["probabilities"]
            for length in (length for length in LENGTHS if length >= count):
                padded = np.zeros((1, length), np.int32)
                padded[:, :count] = row
                batch = backend.run("classify_tokens", {"token_ids": padded})["probabilities"]
                fixed = backend.run(f"classify_tokens_{length}", {"token_ids": padded})["probabilities"]
                np.testing.assert_allclose(fixed, batch, rtol=0, atol=ROUNDING)
                np.testing.assert_allclose(fixed, expected, rtol=0, atol=0.05 if "static" in scheme else 1e-5)


@pytest.mark.parametrize("scheme", ["fp32", "int8"])
def test_a_host_without_resizing_gets_the_same_answers(convert_fixed, scheme):
    path = convert_fixed(scheme)
    texts = [*TEXTS, "turn the light on " * 30]  # the last one is longer than the model reads
    with TextClassifier(path) as free, fixed_only(path) as fixed:
        assert fixed.runtime_info.golden_cases == free.runtime_info.golden_cases
        for text in texts:
            one, other = free.classify(text), fixed.classify(text)
            assert other.label == one.label
            assert other.is_truncated == one.is_truncated
            for label, probability in one.probabilities.items():
                assert other.probabilities[label] == pytest.approx(probability, abs=1e-5)
        assert fixed.classify(texts[-1]).is_truncated
        assert [one.label for one in fixed.classify_batch(texts)] == [free.classify(text).label for text in texts]


def test_compiled_model_without_resizing(convert_fixed, monkeypatch):
    """LiteRT's `CompiledModel`, whose Kotlin form has no resizing."""
    path = convert_fixed("fp32")
    backend = CompiledModelBackend(path, longest_row=24, num_classes=3)

    def refuse(*_):
        raise AssertionError("an input was resized")

    monkeypatch.setattr(backend._model, "resize_input_tensor_by_name", refuse, raising=True)
    with TextClassifier(path) as free, TextClassifier(path, backend=FixedOnlyBackend(backend)) as fixed:
        for text in TEXTS[:6]:
            assert fixed.classify(text).probabilities == pytest.approx(free.classify(text).probabilities, abs=1e-5)


def test_a_text_beyond_the_largest_length_is_cut_as_its_first_token_ids(convert_fixed):
    path = convert_fixed("fp32", fixed_lengths=(8,))
    text = "turn on the light in Paris and play music, please"
    with TextClassifier(path) as free, fixed_only(path) as fixed:
        ids = free.tokenize(text)
        assert len(ids) > 8
        [expected] = free.classify_tokens([[*ids[:7], ids[-1]]])
        found = fixed.classify(text)
        assert found.is_truncated
        assert found.probabilities == pytest.approx(expected.probabilities, abs=1e-5)
        assert fixed.classify("turn on").is_truncated is False
        exactly = "on " * 6  # [CLS], six pieces, [SEP]
        assert len(free.tokenize(exactly)) == 8
        assert fixed.classify(exactly).is_truncated is False
        assert fixed.classify(exactly + "on").is_truncated is True


def test_what_no_length_holds_has_its_own_error(convert_fixed):
    with fixed_only(convert_fixed("fp32", fixed_lengths=(8,))) as fixed:
        with pytest.raises(InputError, match=r"1 to 8 token ids. Received: 9 in row 0"):
            fixed.classify_tokens([[2, *[5] * 7, 3]])
        with pytest.raises(InputError, match=r"at most 128 bytes.*Received: 200 bytes.*`fixed_lengths`"):
            fixed.classify("a" * 200)  # one word, which cannot be cut
        assert fixed.classify("play music " * 100).is_truncated
        assert fixed.classify("play " * 40 + "ü" * 200).is_truncated
        with pytest.raises(InputError, match="not a pair"):
            fixed.classify("on", "off")


def test_constants_are_stored_once():
    """The bundled preset, as it is: a file grows by what describes the graph, and not by weights."""
    from edgedistil.presets.loading import load_labelled_classifier
    from edgedistil_converters.flatbuffer import convert_module
    from edgedistil_converters.model.read_classifier import read_classifier
    from edgedistil_converters.tflite.structure import read_structure

    read, plan = read_classifier(load_labelled_classifier("smart_home_tiny_en").classifier), QuantizationPlan("int8")
    sizes = []
    for fixed in (FixedShapes(), FixedShapes((16, 32, 48))):
        module = TextClassifierModule(read.weights, read.settings, read.vocabulary, plan, ModelInterface(), fixed=fixed)
        flatbuffer = convert_module(module, plan, DEFAULT_SHAPES)
        structure = read_structure(flatbuffer)
        assert structure.large_float_constants == ()
        sizes.append(sum(structure.constant_bytes.values()))
        places = places_of_scales(flatbuffer)
        assert len(places) == len(structure.matmuls)
        assert all(len(found) == 1 for found in places.values())
    assert sizes[1] <= 1.02 * sizes[0]


@pytest.mark.parametrize("scheme", ["fp32", "int8"])
def test_lengths_share_their_operators(convert_fixed, scheme):
    places = places_of_operators(read_artifact(convert_fixed(scheme)).flatbuffer())
    first, *others = (places[f"classify_tokens_{length}"] for length in LENGTHS)
    assert others == [first] * len(others)
    assert set(places["classify_tokens"]).isdisjoint(first)  # another graph, or the check above could not fail


def test_the_metadata_name_the_lengths(convert_fixed):
    metadata = read_artifact(convert_fixed("int8")).metadata
    record = metadata.preparation["fixed_lengths"]
    assert fixed_lengths(metadata) == LENGTHS
    assert record["text_bytes"] == [128, 128, 192]
    assert set(record["largest_differences"]) == {"8", "16", "24"}
    assert max(record["largest_differences"].values()) < 1e-4
    found = subgraphs(convert_fixed("int8"))
    assert sorted(name for name in found if re.fullmatch(r"classify_text_\d+_\d+", name)) == SIGNATURES


@pytest.mark.parametrize("interface", [ModelInterface("none"), ModelInterface(takes_text_pair=True)])
def test_other_interfaces(convert_fixed, interface):
    path = convert_fixed("fp32", interface=interface)
    names = set(subgraphs(path))
    assert {"classify_tokens_8", "classify_tokens_16", "classify_tokens_24"} <= names
    assert names.isdisjoint(SIGNATURES) == (interface.tokenizer == "none")
    with fixed_only(path) as fixed:
        assert fixed.runtime_info.golden_cases > 0
        assert len(fixed.classify_tokens([[2, 5, 3], [2, 3]])) == 2


def test_a_file_for_a_gpu_embeds_rows_of_its_lengths(convert_fixed):
    path = convert_fixed("fp32", target="gpu", fixed_lengths=(8,))
    assert read_artifact(path).metadata.encoder.lengths == (8, 24)
    found = subgraphs(path)
    for length in (8, 24):
        tensors, ops = found[f"embed_{length}"]
        assert open_shapes(tensors) == []
        assert DYNAMIC_OPS.isdisjoint(ops)
    with closing(default_backend(path)) as backend:
        row = np.array([[2, 7, 9, 3, 0, 0, 0, 0]], np.int32)
        free, fixed = (backend.run(name, {"token_ids": row}) for name in ("embed", "embed_8"))
        assert sorted(free) == sorted(fixed) == ["attention_bias", "embeddings"]
        for name, values in free.items():
            np.testing.assert_allclose(fixed[name], values, rtol=0, atol=ROUNDING)
        text = np.zeros(128, np.int32)
        text[:7] = list(b"turn on")
        free, fixed = (backend.run(name, {"text": text}) for name in ("tokenize", "tokenize_128_8"))
        count = free["token_ids"].shape[1]
        assert fixed["token_count"].tolist() == [count]
        assert fixed["token_ids"].tolist() == [[*free["token_ids"][0], *[0] * (8 - count)]]


def test_a_length_that_computes_something_else_is_refused(classifier, labels, tmp_path, monkeypatch):
    from edgedistil_converters.graph.classifier import EdgeGraph

    whole = EdgeGraph.embed_fixed

    def wrong(self, token_ids):
        return whole(self, token_ids)[::-1]  # positions in reverse

    monkeypatch.setattr(EdgeGraph, "embed_fixed", wrong)
    error = refused(
        ParityError,
        "fixed length 8 must compute what those of open shapes compute.*a probability of .* differs by",
        *(classifier, labels, tmp_path / "wrong.tflite"),
        plan=QuantizationPlan("int8"),
        fixed_lengths=(8,),
    )
    assert "`fixed_lengths`" in str(error)
    assert names_in(tmp_path) == []


@pytest.mark.parametrize(
    ("lengths", "interface", "message"),
    [
        ((16, 8), ModelInterface(), "from 3 up, each once and ascending.*Received: 16,8"),
        ((8, 8), ModelInterface(), "Received: 8,8"),
        ((2, 8), ModelInterface(), "Received: 2,8"),
        ((True, 8), ModelInterface(), "Received: True,8"),
        ((8.0,), ModelInterface(), "Received: 8.0"),
        ((8, 25), ModelInterface(), "at most the model's sequence length, 24. Received: 8,25"),
        ((8,), ModelInterface("none", metadata="mediapipe"), "one signature.*`fixed_lengths` with `metadata`"),
    ],
)
def test_lengths_that_a_file_cannot_have(classifier, labels, tmp_path, lengths, interface, message):
    path = tmp_path / "no.tflite"
    refused(ConversionError, message, classifier, labels, path, interface=interface, fixed_lengths=lengths)
    assert names_in(tmp_path) == []


def test_layers_of_other_schemes(convert_fixed):
    plan = QuantizationPlan("int8", (LayerScheme("*_embeddings", "int4"), LayerScheme("logits", "fp32")))
    path = convert_fixed("int8", plan=plan, fixed_lengths=(16,))
    with fixed_only(path) as fixed, TextClassifier(path) as free:
        assert fixed.classify("play music").label == free.classify("play music").label


def test_without_lengths_nothing_is_added(convert):
    artifact = convert("int8").artifact
    assert "fixed_lengths" not in artifact.metadata.preparation
    assert sorted(subgraphs(artifact.path)) == ["classify_text", "classify_tokens", "tokenize"]
