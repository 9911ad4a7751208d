"""The form of a file for NPUs, against what LiteRT publishes about two compilers."""

import pytest
from ai_edge_litert import schema_py_generated as schema

from edgedistil_converters import ModelInterface, QuantizationPlan, convert_classifier
from edgedistil_converters.quantization.plan import LayerScheme
from edgedistil_converters.targets.npu import COMPILERS, check_npu_form, npu_objections
from edgedistil_converters.tflite.op_names import OP_NAMES
from edgedistil_runtime import TextClassifier, read_artifact
from edgedistil_runtime.errors import AcceleratorUnavailable, InputError, StructureError

from .conversions import refused
from .targets import TEXTS, converted

IDS = ModelInterface("none")


@pytest.fixture(scope="module", params=["fp32", "fp16"])
def npu_file(request, classifier, labels, tmp_path_factory):
    path = tmp_path_factory.mktemp("npu") / f"{request.param}.tflite"
    convert_classifier(classifier, labels, path, plan=QuantizationPlan(request.param), interface=IDS, target="npu")
    return path


def test_it_has_one_signature_of_the_sequence_length_and_no_more(npu_file):
    model = schema.ModelT.InitFromPackedBuf(read_artifact(npu_file).flatbuffer(), 0)
    [signature] = model.signatureDefs
    assert signature.signatureKey == b"classify_tokens_24"
    [subgraph] = model.subgraphs
    [index] = subgraph.inputs
    assert list(subgraph.tensors[index].shape) == [1, 24]
    assert subgraph.tensors[index].type == schema.TensorType.INT32


def test_shapes_types_and_ops_are_those_that_compilers_list(npu_file):
    flatbuffer = read_artifact(npu_file).flatbuffer()
    assert npu_objections(flatbuffer) == ()
    model = schema.ModelT.InitFromPackedBuf(flatbuffer, 0)
    tensors = model.subgraphs[0].tensors
    assert all(tensor.shapeSignature is None or -1 not in tensor.shapeSignature for tensor in tensors)
    floats = {schema.TensorType.FLOAT32, schema.TensorType.FLOAT16}
    assert {tensor.type for tensor in tensors} <= {*floats, schema.TensorType.INT32, schema.TensorType.BOOL}
    ops = {OP_NAMES[code.builtinCode] for code in model.operatorCodes}
    assert ops <= COMPILERS["qualcomm"]
    # MediaTek's compiler lists neither the look-up of embeddings nor the comparison that finds padding.
    assert ops - COMPILERS["mediatek"] == {"GATHER", "EQUAL"}
    assert all("GATHER" in text or "EQUAL" in text for text in npu_objections(flatbuffer, "mediatek"))


def test_the_encoder_for_a_gpu_has_what_both_compilers_list(classifier, labels, tmp_path):
    """So it is the form for an NPU whose compiler does not look up embeddings."""
    path = tmp_path / "gpu.tflite"
    convert_classifier(classifier, labels, path, plan=QuantizationPlan("fp32"), target="gpu")
    encoder = read_artifact(path).encoder().model
    assert npu_objections(encoder) == npu_objections(encoder, "mediatek") == ()


def test_it_runs_here_and_answers_as_keras(npu_file, convert):
    with TextClassifier(convert("fp32").artifact.path) as reference, TextClassifier(npu_file) as candidate:
        assert candidate.metadata.target == "npu"
        assert candidate.runtime_info.golden_cases > 0
        rows = [reference.tokenize(text) for text in TEXTS]
        for one, other in zip(reference.classify_tokens(rows), candidate.classify_tokens(rows), strict=True):
            assert other.label == one.label
            assert other.probabilities == pytest.approx(one.probabilities, abs=5e-3)


def test_several_lengths(classifier, labels, tmp_path, convert):
    path = tmp_path / "two.tflite"
    plan = QuantizationPlan("fp32")
    convert_classifier(classifier, labels, path, plan=plan, interface=IDS, target="npu", fixed_lengths=(8, 16))
    assert all(len(case.token_ids) <= 16 for case in read_artifact(path).metadata.golden_cases)
    with TextClassifier(path) as candidate, TextClassifier(convert("fp32").artifact.path) as reference:
        for ids in ([2, 5, 3], [2, *[7] * 10, 3]):
            [one], [other] = reference.classify_tokens([ids]), candidate.classify_tokens([ids])
            assert other.probabilities == pytest.approx(one.probabilities, abs=1e-5)
        with pytest.raises(InputError, match="1 to 16 token ids. Received: 17"):
            candidate.classify_tokens([[2, *[7] * 15, 3]])
        with pytest.raises(InputError, match="takes token ids"):
            candidate.classify("play music")


def test_the_runtime_says_that_it_runs_no_npu(npu_file):
    with pytest.raises(AcceleratorUnavailable, match="does not run models on an NPU.*`accelerator`='cpu'"):
        TextClassifier(npu_file, "npu")


def test_int8_tables_of_embeddings_are_refused(classifier, labels, tmp_path):
    plan = QuantizationPlan("fp32", (LayerScheme("*_embeddings", "int8"),))
    path = tmp_path / "int8.tflite"
    refused(
        StructureError, "neither float nor an index", classifier, labels, path, plan=plan, interface=IDS, target="npu"
    )
    assert not path.exists()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: converted(lambda tf, x: x + 1, [None, 2]), "has no fixed shape"),
        (lambda: converted(lambda tf, x: tf.sin(x), [2]), "computed by SIN"),
        (lambda: converted(lambda tf, x: x + 1, [1, 1, 1, 2, 2]), "has rank 5"),
        (lambda: converted(lambda tf, x: x * 2, [2], dtype="int64"), "neither float nor an index"),
    ],
)
def test_what_compilers_leave_to_the_cpu_is_found(model, message):
    with pytest.raises(StructureError, match=message):
        check_npu_form(model())
