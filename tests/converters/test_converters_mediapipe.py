"""The file for MediaPipe: what it computes, and the metadata in it, read back with a reader of its own."""

import struct
from dataclasses import replace
from functools import cache

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from edgedistil_converters import QuantizationPlan
from edgedistil_converters.flatbuffer import convert_module
from edgedistil_converters.interface import ModelInterface
from edgedistil_converters.model.keras_hub import read_weights
from edgedistil_converters.targets.mediapipe import check_mediapipe_tokenizer, with_mediapipe_metadata
from edgedistil_converters.tflite.structure import read_structure
from edgedistil_converters.tokenizer.settings import read_tokenizer
from edgedistil_converters.verification.plan_check import check_structure
from edgedistil_runtime.errors import ConversionError

SEQUENCE_LENGTH = 24
INPUTS = {"ids", "segment_ids", "mask"}
TOLERANCE = {"fp32": 1e-5, "fp16": 5e-3, "int8": 0.06}


@pytest.fixture(scope="module")
def settings(classifier):
    return read_tokenizer(classifier.preprocessor)[0]


@pytest.fixture(scope="module")
def make_flatbuffer(classifier):
    from edgedistil_converters.signatures import TextClassifierModule

    @cache
    def make(scheme):
        plan = QuantizationPlan(scheme)
        interface = ModelInterface("none", metadata="mediapipe")
        module = TextClassifierModule(
            read_weights(classifier), *read_tokenizer(classifier.preprocessor), plan, interface
        )
        return convert_module(module, plan, {})

    return make


@pytest.fixture(scope="module")
def model(make_flatbuffer, settings):
    """The float model with its metadata, as bytes."""
    return with_mediapipe_metadata(make_flatbuffer("fp32"), name="tiny ü", settings=settings)


@pytest.fixture(scope="module")
def answers(classifier):
    from edgedistil_converters.verification.keras_answers import answer_with_keras
    from edgedistil_converters.verification.texts import VERIFICATION_TEXTS

    return answer_with_keras(classifier, VERIFICATION_TEXTS)


def runner(flatbuffer):
    return Interpreter(model_content=flatbuffer, num_threads=1).get_signature_runner("serving_default")


def features(token_ids, *, padding=0, segment=0):
    row = np.full((1, SEQUENCE_LENGTH), padding, np.int32)
    row[0, : len(token_ids)] = token_ids
    mask = (np.arange(SEQUENCE_LENGTH) < len(token_ids)).astype(np.int32)[None]
    return {"ids": row, "segment_ids": np.full_like(row, segment), "mask": mask}


@pytest.mark.parametrize("scheme", TOLERANCE)
def test_it_computes_what_keras_computes_whatever_stands_in_the_padding(make_flatbuffer, answers, scheme):
    run = runner(make_flatbuffer(scheme))
    assert {len(answer.token_ids) for answer in answers} >= {2, SEQUENCE_LENGTH}  # an empty text, and one cut off
    for answer in answers:
        padded = run(**features(answer.token_ids))["probabilities"]
        assert padded.shape == (1, 3)
        np.testing.assert_allclose(padded[0], answer.probabilities, rtol=0, atol=TOLERANCE[scheme])
        same = run(**features(answer.token_ids, padding=7, segment=1))["probabilities"]
        np.testing.assert_array_equal(padded, same)


def test_inputs_of_zeros_do_not_end_the_interpreter(make_flatbuffer):
    zeros = np.zeros((1, SEQUENCE_LENGTH), np.int32)
    probabilities = runner(make_flatbuffer("fp32"))(ids=zeros, segment_ids=zeros, mask=zeros)["probabilities"]
    assert probabilities.sum() == pytest.approx(1)


@pytest.mark.parametrize("scheme", TOLERANCE)
def test_it_has_the_form_that_mediapipe_takes(make_flatbuffer, scheme):
    flatbuffer = make_flatbuffer(scheme)
    structure = read_structure(flatbuffer)
    check_structure(structure, QuantizationPlan(scheme))
    [(name, (inputs, outputs))] = structure.signatures.items()
    assert name == "serving_default"
    assert {(i.name, i.dtype, i.shape) for i in inputs} == {(n, "int32", (1, SEQUENCE_LENGTH)) for n in INPUTS}
    assert [(o.name, o.dtype, o.shape) for o in outputs] == [("probabilities", "float32", (1, 3))]
    content = schema.ModelT.InitFromPackedBuf(bytearray(flatbuffer), 0)
    [subgraph] = content.subgraphs
    assert len(subgraph.inputs) == 3
    assert all(any(tensor in op.inputs for op in subgraph.operators) for tensor in subgraph.inputs)


# The schema's tables, read by hand: field numbers count from 0, a union takes two.


class Table:
    def __init__(self, data, position):
        self.data, self.position = data, position

    def _field(self, number):
        vtable = self.position - struct.unpack_from("<i", self.data, self.position)[0]
        size = struct.unpack_from("<H", self.data, vtable)[0]
        entry = 4 + 2 * number
        offset = struct.unpack_from("<H", self.data, vtable + entry)[0] if entry < size else 0
        assert offset, f"no field {number}"
        return self.position + offset

    def _target(self, number):
        field = self._field(number)
        return field + struct.unpack_from("<I", self.data, field)[0]

    def byte(self, number):
        return self.data[self._field(number)]

    def string(self, number):
        start = self._target(number)
        return self.data[start + 4 :][: struct.unpack_from("<I", self.data, start)[0]].decode()

    def table(self, number):
        return Table(self.data, self._target(number))

    def tables(self, number):
        start = self._target(number)
        places = [start + 4 + 4 * k for k in range(struct.unpack_from("<I", self.data, start)[0])]
        return [Table(self.data, place + struct.unpack_from("<I", self.data, place)[0]) for place in places]


def read_metadata(flatbuffer):
    content = schema.ModelT.InitFromPackedBuf(bytearray(flatbuffer), 0)
    [entry] = [entry for entry in content.metadata if entry.name == b"TFLITE_METADATA"]
    data = bytes(content.buffers[entry.buffer].data)
    assert data[4:8] == b"M001"
    return Table(data, struct.unpack_from("<I", data)[0])


def subgraph_inputs(flatbuffer):
    """The signature's names of the subgraph's inputs, in their order."""
    content = schema.ModelT.InitFromPackedBuf(bytearray(flatbuffer), 0)
    names = {entry.tensorIndex: entry.name.decode() for entry in content.signatureDefs[0].inputs}
    return [names[tensor] for tensor in content.subgraphs[0].inputs]


def test_the_metadata_name_tensors_vocabulary_and_labels(model):
    root = read_metadata(model)
    assert root.string(0) == "tiny ü"
    assert "24 tokens" in root.string(1)
    assert root.string(7) == "1.1.0"
    [subgraph] = root.tables(3)
    assert [tensor.string(0) for tensor in subgraph.tables(2)] == subgraph_inputs(model)
    [output] = subgraph.tables(3)
    [labels] = output.tables(6)
    assert (output.string(0), labels.string(0), labels.byte(2)) == ("probabilities", "labels.txt", 2)
    [unit] = subgraph.tables(5)
    assert unit.byte(0) == 4  # BertTokenizerOptions in ProcessUnitOptions
    [vocabulary] = unit.table(1).tables(0)
    assert (vocabulary.string(0), vocabulary.byte(2)) == ("vocab.txt", 5)


def packed(content):
    builder = flatbuffers.Builder(1024)
    builder.Finish(content.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0), (2, 1, 0)])
def test_the_metadata_follow_the_order_of_the_inputs(make_flatbuffer, settings, order):
    content = schema.ModelT.InitFromPackedBuf(bytearray(make_flatbuffer("fp32")), 0)
    [subgraph] = content.subgraphs
    subgraph.inputs = [int(subgraph.inputs[k]) for k in order]
    permuted = with_mediapipe_metadata(packed(content), name="x", settings=settings)
    [metadata] = read_metadata(permuted).tables(3)
    assert [tensor.string(0) for tensor in metadata.tables(2)] == subgraph_inputs(permuted)
    assert set(subgraph_inputs(permuted)) == INPUTS


def test_metadata_change_nothing_else(make_flatbuffer, model, answers, settings):
    assert model == with_mediapipe_metadata(make_flatbuffer("fp32"), name="tiny ü", settings=settings)
    before, after = (schema.ModelT.InitFromPackedBuf(bytearray(m), 0) for m in (make_flatbuffer("fp32"), model))
    assert len(after.metadata) == len(before.metadata) + 1
    assert [bytes(b.data) if b.data is not None else None for b in after.buffers[:-1]] == [
        bytes(b.data) if b.data is not None else None for b in before.buffers
    ]
    inputs = features(answers[0].token_ids)
    expected = runner(make_flatbuffer("fp32"))(**inputs)["probabilities"]
    np.testing.assert_array_equal(runner(model)(**inputs)["probabilities"], expected)


def test_metadata_are_added_once(model, settings):
    with pytest.raises(ConversionError, match="can be added only once"):
        with_mediapipe_metadata(model, name="again", settings=settings)


def test_another_signature_and_a_second_subgraph_are_refused(make_flatbuffer, settings):
    content = schema.ModelT.InitFromPackedBuf(bytearray(make_flatbuffer("fp32")), 0)
    content.signatureDefs[0].signatureKey = b"classify_text"
    with pytest.raises(ConversionError, match="Received: 1 subgraphs with signatures .'classify_text'"):
        with_mediapipe_metadata(packed(content), name="x", settings=settings)
    content.signatureDefs[0].signatureKey = b"serving_default"
    content.subgraphs.append(content.subgraphs[0])
    with pytest.raises(ConversionError, match="one subgraph.*Received: 2 subgraphs"):
        with_mediapipe_metadata(packed(content), name="x", settings=settings)


def test_a_model_with_another_input_is_refused(make_flatbuffer, settings):
    content = schema.ModelT.InitFromPackedBuf(bytearray(make_flatbuffer("fp32")), 0)
    [signature] = content.signatureDefs
    next(entry for entry in signature.inputs if entry.name == b"mask").name = b"padding_mask"
    with pytest.raises(ConversionError, match="inputs ids, segment_ids and mask"):
        with_mediapipe_metadata(packed(content), name="x", settings=settings)


def test_the_usual_tokenizer_is_accepted(classifier):
    check_mediapipe_tokenizer(*read_tokenizer(classifier.preprocessor))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("lowercase", False),
        ("split", False),
        ("special_tokens_in_strings", True),
        ("suffix_indicator", "@@"),
        ("oov_token", "<unk>"),
        ("start_id", 5),
        ("end_id", 5),
    ],
)
def test_a_tokenizer_that_mediapipe_cannot_be_is_refused(settings, vocabulary, option, value):
    with pytest.raises(ConversionError, match="MediaPipe's tokenizer always has") as caught:
        check_mediapipe_tokenizer(replace(settings, **{option: value}), vocabulary)
    assert option.removesuffix("_id") in str(caught.value)
    assert "`tokenizer`='builtin'" in str(caught.value)


@pytest.mark.parametrize("piece", ["", "line\r"])
def test_a_vocabulary_that_mediapipe_reads_otherwise_is_refused(settings, vocabulary, piece):
    with pytest.raises(ConversionError, match="MediaPipe skips empty lines") as caught:
        check_mediapipe_tokenizer(settings, (*vocabulary, piece))
    assert f"Received: {piece!r} with id {len(vocabulary)}" in str(caught.value)
