"""Every step of the edge graph keeps its name in every file: plans, ranges and structures go by these names."""

from collections import Counter
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgedistil_converters import QuantizationPlan
from edgedistil_converters.interface import ModelInterface
from edgedistil_converters.model.keras_hub import read_weights
from edgedistil_converters.sites import ACTIVATION_SITES, EMBEDDING_SITES, matmul_sites
from edgedistil_converters.tflite.site_names import name_sites, site_of
from edgedistil_converters.tokenizer.settings import read_tokenizer

LAYERS = 2
MATMULS_OF_LAYER = ("query", "key", "value", "attention_output", "intermediate", "output")
SCHEMES = ("fp32", "fp16", "int8", "int4", "int8-static")
ATTENTION = {"classify_text": "attention", "classify_tokens": "masked_attention"}  # of a padded batch, with a mask


@pytest.fixture(scope="module")
def content(classifier, convert):
    """`content("int4")`: the `ModelT` of a whole file by that scheme, converted once."""
    from edgedistil_converters.flatbuffer import convert_module
    from edgedistil_converters.quantization.observed_ranges import activation_ranges
    from edgedistil_converters.signatures import DEFAULT_SHAPES, TextClassifierModule

    @cache
    def read(scheme):
        if scheme in ("fp32", "fp16", "int8"):
            return schema.ModelT.InitFromPackedBuf(convert(scheme).artifact.flatbuffer(), 0)
        plan = QuantizationPlan(scheme)
        weights = read_weights(classifier)
        *layers, last = weights.layers
        # TensorFlow's converter removes a subtraction of zeros, as after a layer norm that was never trained.
        last = replace(last, attention_norm=replace(last.attention_norm, beta=np.zeros_like(last.attention_norm.beta)))
        module = TextClassifierModule(
            replace(weights, layers=(*layers, last)), *read_tokenizer(classifier.preprocessor), plan, ModelInterface()
        )
        rows = [np.arange(5, 5 + length) for length in (3, 9, 24)]
        flatbuffer = convert_module(
            module, plan, DEFAULT_SHAPES, calibrate=lambda model: activation_ranges(model, rows)
        )
        return schema.ModelT.InitFromPackedBuf(flatbuffer, 0)

    return read


def put_out(content):
    """(signature, tensor name, builtin code) of everything that an op of a signature puts out."""
    for signature in content.signatureDefs:
        subgraph = content.subgraphs[signature.subgraphIndex]
        for op in subgraph.operators:
            code = content.operatorCodes[op.opcodeIndex].builtinCode
            yield from (
                (signature.signatureKey.decode(), subgraph.tensors[i].name.decode(), code) for i in op.outputs if i >= 0
            )


def due_sites(signature):
    names = [ATTENTION[signature] if name == "attention" else name for name in ACTIVATION_SITES]
    layers = {f"transformer_layer_{i}/{name}" for i in range(LAYERS) for name in names}
    return {*layers, "embeddings_layer_norm", "pooled_dense", "logits"}


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("signature", ATTENTION)
def test_every_step_has_its_name_and_no_two_have_one(content, scheme, signature):
    found = Counter(site_of(name, signature) for owner, name, _ in put_out(content(scheme)) if owner == signature)
    due = due_sites(signature)
    assert {site: found[site] for site in due} == dict.fromkeys(due, 1)
    # A quantizer puts conversions beside a step, named after it.
    steps = {site.removesuffix("_dequant").removesuffix("_quantized") for site in found}
    parts = {site.split("/")[-1] for site in steps if site.startswith("transformer_layer_") and site.count("/") == 1}
    assert parts >= {site.split("/")[1] for site in due if "/" in site}
    assert not parts & ({"attention", "masked_attention"} - {ATTENTION[signature]})


@pytest.mark.parametrize("scheme", SCHEMES)
def test_names_are_unique_over_the_file(content, scheme):
    """litert-quantizer knows a tensor's range by its name alone."""
    names = Counter(name for _, name, _ in put_out(content(scheme)))
    assert len(names) > 500
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_ops_of_the_sites(content, scheme):
    operators = schema.BuiltinOperator
    due = dict.fromkeys((*MATMULS_OF_LAYER, "pooled_dense", "logits"), operators.FULLY_CONNECTED)
    due |= {"scores": operators.BATCH_MATMUL, "mixed": operators.BATCH_MATMUL, "gelu": operators.GELU}
    due |= {"attention": operators.SOFTMAX, "masked_attention": operators.SOFTMAX}
    due |= dict.fromkeys(("attention_residual", "output_residual"), operators.ADD)
    due |= dict.fromkeys(("attention_norm", "output_norm", "embeddings_layer_norm"), operators.SUB)
    found = {
        site_of(name, signature): code
        for signature, name, code in put_out(content(scheme))
        if signature in ATTENTION and site_of(name, signature) in due_sites(signature)
    }
    assert found == {site: due[site.split("/")[-1]] for site in found}
    assert len(found) == len(due_sites("classify_text") | due_sites("classify_tokens"))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_matmul_is_a_site_with_weights(content, scheme):
    matmuls = Counter(
        site_of(name, signature)
        for signature, name, code in put_out(content(scheme))
        if code == schema.BuiltinOperator.FULLY_CONNECTED
    )
    assert matmuls == dict.fromkeys(matmul_sites(LAYERS), len(ATTENTION))


def test_the_sites_of_weights():
    assert matmul_sites(0) == ("pooled_dense", "logits")
    assert matmul_sites(1) == (*(f"transformer_layer_0/{name}" for name in MATMULS_OF_LAYER), "pooled_dense", "logits")
    assert not set(matmul_sites(3)) & set(EMBEDDING_SITES)
    assert set(MATMULS_OF_LAYER) < set(ACTIVATION_SITES)


@pytest.mark.parametrize(
    ("name", "signature", "site"),
    [
        ("classify_text/logits", "classify_text", "logits"),
        ("classify_text/transformer_layer_0/gelu", "classify_text", "transformer_layer_0/gelu"),
        ("classify_tokens/logits", "classify_text", ""),
        ("classify_text_pair/logits", "classify_text", ""),
        ("logits", "classify_text", ""),
        ("", "classify_text", ""),
    ],
)
def test_a_site_is_the_name_without_the_signature(name, signature, site):
    assert site_of(name, signature) == site


def file_of(op, name):
    """A `ModelT` of one op that puts out a tensor of that name."""
    code = schema.OperatorCodeT()
    code.builtinCode = getattr(schema.BuiltinOperator, op)
    tensor, operator, subgraph = schema.TensorT(), schema.OperatorT(), schema.SubGraphT()
    tensor.name, operator.outputs, operator.opcodeIndex = name.encode(), [0], 0
    subgraph.tensors, subgraph.operators = [tensor], [operator]
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = b"f", 0
    content = schema.ModelT()
    content.operatorCodes, content.subgraphs, content.signatureDefs = [code], [subgraph], [signature]
    return content


@pytest.mark.parametrize(
    ("op", "name", "renamed"),
    [
        ("FULLY_CONNECTED", "logits/MatMul;logits/add", "f/logits"),
        ("FULLY_CONNECTED", "transformer_layer_3/key/MatMul1;x/y", "f/transformer_layer_3/key"),
        ("ADD", "transformer_layer_0/output_residual/add7", "f/transformer_layer_0/output_residual"),
        ("SUB", "a_norm/shifted;transformer_layer_0/query/MatMul", "f/a_norm"),
        ("GELU", "transformer_layer_0/gelu/Gelu/mul_1;b", "f/transformer_layer_0/gelu"),
        ("ADD", "transformer_layer_0/query/MatMul", "transformer_layer_0/query/MatMul"),
        ("MUL", "logits/MatMul", "logits/MatMul"),
        ("FULLY_CONNECTED", "logits/MatMulx", "logits/MatMulx"),
    ],
)
def test_joined_names_give_way_to_the_step_of_the_op(op, name, renamed):
    content = file_of(op, name)
    assert name_sites(content) == ("f/transformer_layer" in renamed)
    assert content.subgraphs[0].tensors[0].name.decode() == renamed
