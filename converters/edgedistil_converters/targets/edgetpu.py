"""The encoder for Coral's Edge TPU: a separate int8 flatbuffer for Coral's compiler.

The compiler requires fixed shapes, a batch of 1, int8 from the first tensor to the last, and the ops of 2021. The part
for the CPU converts text to token ids and these to embeddings, normalized and rounded to int8; all later steps are in
the encoder, in the form of `edgetpu_graph.py`. Every tensor of the encoder has its own range: those of sites (see
`sites.py`) may be given, learned in training; all others are measured on rows of token ids.

The compiler is optional: an encoder that was not compiled runs on any CPU and computes the same numbers.
"""

import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from edgedistil_converters.flatbuffer import convert_module
from edgedistil_converters.graph.ops import SingleText
from edgedistil_converters.graph.transformer import EMBEDDINGS_NORM
from edgedistil_converters.model.mean_pooling import fold_mean_pooling
from edgedistil_converters.model.weights import ClassifierWeights
from edgedistil_converters.quantization.plan import QuantizationPlan
from edgedistil_converters.quantization.ranges import GELU_FLOOR, Ranges
from edgedistil_converters.targets.edgetpu_compiler import run_edgetpu_compiler
from edgedistil_converters.targets.edgetpu_graph import EdgeTPUGraph
from edgedistil_converters.targets.edgetpu_mapping import predict_mapping
from edgedistil_converters.targets.parts import TargetEncoder, check_encoder, padded_row
from edgedistil_converters.targets.plans import TARGETS, check_target_plan
from edgedistil_converters.tflite.buffers import normalize_flatbuffer, packed
from edgedistil_converters.tflite.quiet import quiet
from edgedistil_converters.tflite.site_names import site_of
from edgedistil_runtime.artifact import TokenizerSettings
from edgedistil_runtime.contract import ATTENTION_MASK, CORALBOARD, EDGETPU, EMBEDDINGS, PROBABILITIES
from edgedistil_runtime.errors import ConversionError

__all__ = ["build_edgetpu_encoder", "build_int8_encoder"]

_SIGNATURE = "classify_embeddings"
_IMAGE_RANK = 4
# Scores this far below the largest of their row get attention 0: exp(-8) is 3e-4, less than half a step (1/256) of the
# sigmoid's int8 output.
_SCORE_SPAN = 8.0
# Ranges of tensors of `edgetpu_graph.py` whose measured range is only rounding error or wider than needed.
_FIXED_RANGES = {
    "/attention/distance": (-_SCORE_SPAN, 0.0),
    "_norm/second_power": (0.0, 1.5),
    "_norm/second_root": (0.0, 1.4),
}
# Op -> version of its int8 kernel, for the ops of an encoder, from GetBuiltinOperatorVersion in TFLite's
# tools/versioning/op_version.cc; litert-quantizer leaves the versions of the float kernels.
_INT8_VERSIONS = {
    getattr(schema.BuiltinOperator, name): version
    for version, names in {
        1: ("RESHAPE",),
        2: (
            *("ADD", "BATCH_MATMUL", "LOGISTIC", "MEAN", "MUL", "REDUCE_MIN", "RSQRT", "SLICE", "SOFTMAX"),
            *("SQUARED_DIFFERENCE", "SUB", "TANH", "TRANSPOSE"),
        ),
        3: ("CONV_2D",),
    }.items()
    for name in names
}
# Names that TensorFlow gives to the last op of a step, in addition to those that `site_of` knows.
_STEP = re.compile(r"(.+)/(?:Conv2D|MatMul|step)\d*")


def build_edgetpu_encoder(
    weights: ClassifierWeights,
    settings: TokenizerSettings,
    plan: QuantizationPlan,
    token_ids: Iterable[Sequence[int]],
    *,
    ranges: Ranges | None = None,
    has_batch_matmul: bool = False,
) -> TargetEncoder:
    """Converts a classifier's encoder for an Edge TPU, and compiles it if Coral's compiler is on the PATH.

    The outputs of `embed`, which are the inputs of the encoder, are `embeddings` int8[1, 1, length, width] and
    `attention_mask` int8[1, 1, length, 1]. The encoder has one subgraph and no signature, because the compiler of 2021
    removes signatures: its tensors are found by these names, and the output `probabilities` int8[1, num_classes], with
    scale 1/256 and zero point -128, by its own.

    Args:
        weights: Weights of the classifier.
        settings: Options of its tokenizer; the encoder's only length is their `sequence_length`.
        plan: A plan of int8-static or int8-qat without other schemes in `layers`.
        token_ids: Token ids without padding, of texts like those that the model will classify, to measure ranges on.
        ranges: Ranges learned in training, site -> (min, max); they replace the measured ones.
        has_batch_matmul: True for attention in BATCH_MATMUL, see `EdgeTPUGraph`.

    Raises:
        ConversionError: A plan that an Edge TPU cannot run, a classifier without transformer layers, no rows to measure
            ranges on, or an encoder that the compiler refuses.

    Example:
        >>> from edgedistil.presets.loading import load_classifier
        >>> from edgedistil_converters.model.read_classifier import read_classifier
        >>> read, plan = read_classifier(load_classifier("intents")), QuantizationPlan("int8-static")
        >>> encoder = build_edgetpu_encoder(read.weights, read.settings, plan, [[2, 5, 6, 8, 10, 3]])
        >>> encoder.lengths, sorted(encoder.inputs(np.zeros((16, 16), np.float32), np.ones(16, np.float32)))
        ((16,), ['attention_mask', 'embeddings'])
    """
    built = build_int8_encoder(
        weights, settings, plan, token_ids, ranges=ranges, has_batch_matmul=has_batch_matmul, target=EDGETPU
    )
    compiled, mapping = _compiled(built.flatbuffer)
    return replace(built, compiled=compiled, mapping=mapping)


def build_int8_encoder(
    weights: ClassifierWeights,
    settings: TokenizerSettings,
    plan: QuantizationPlan,
    token_ids: Iterable[Sequence[int]],
    *,
    target: str,
    ranges: Ranges | None = None,
    has_batch_matmul: bool = False,
) -> TargetEncoder:
    """Builds the encoder of `build_edgetpu_encoder` without compiling it.

    Args:
        weights: Weights of the classifier.
        settings: Options of its tokenizer.
        plan: A plan that the target can run.
        token_ids: Token ids to measure ranges on.
        target: The accelerator that it is for, `edgetpu` or another one that computes in int8.
        ranges: Ranges learned in training.
        has_batch_matmul: True for attention in BATCH_MATMUL.

    Raises:
        ConversionError: See `build_edgetpu_encoder`.

    Example:
        >>> from edgedistil.presets.loading import load_classifier
        >>> from edgedistil_converters.model.read_classifier import read_classifier
        >>> read, plan = read_classifier(load_classifier("intents")), QuantizationPlan("int8-static")
        >>> encoder = build_int8_encoder(read.weights, read.settings, plan, [[2, 5, 6, 8, 10, 3]], target="coralboard")
        >>> encoder.lengths, encoder.compiled is None
        ((16,), True)
    """
    check_target_plan(target, plan)
    check_encoder(weights)
    length = settings.sequence_length
    rows = [padded_row(row, length, settings.pad_id) for row in token_ids]
    if not rows:
        raise ConversionError(
            f"{TARGETS[target].name} needs the range of every activation, measured on texts like those that the model "
            "will classify. Received: none. Pass `calibration_texts` (for int8-qat, `training`)."
        )
    weights = fold_mean_pooling(weights)
    graph = EdgeTPUGraph(weights, has_batch_matmul, is_for_torq=target == CORALBOARD)
    model = convert_module(_encoder_module(graph, length), QuantizationPlan("fp32"), {})
    measured = _measure(model, (_float_inputs(weights, row, settings.pad_id) for row in rows))
    encoder = _for_compiler(_quantize(model, _with_sites(model, measured, ranges or {})))
    return TargetEncoder(encoder, (length,), _encoder_inputs(weights, encoder))


def _compiled(encoder: bytes) -> tuple[bytes | None, Mapping[str, Any]]:
    """The compiled encoder and the compiler's log; without a compiler, None and a prediction of the log."""
    with TemporaryDirectory(prefix="edgedistil-") as folder:
        path = Path(folder, "encoder.tflite")
        path.write_bytes(encoder)
        compilation = run_edgetpu_compiler(path, folder)
    if compilation is None:
        return None, predict_mapping(encoder).to_dict()
    return compilation.flatbuffer, compilation.log.to_dict()


def _encoder_module(graph: EdgeTPUGraph, length: int) -> Any:
    specs = [
        tf.TensorSpec([1, 1, length, graph.weights.width], tf.float32, name=EMBEDDINGS),
        tf.TensorSpec([1, 1, length, 1], tf.float32, name=ATTENTION_MASK),
    ]
    module = tf.Module()
    module.functions = {
        _SIGNATURE: tf.function(
            lambda x, mask: {PROBABILITIES: graph.classify(x, mask)}, input_signature=specs, autograph=False
        )
    }
    return module


def _normalized(weights: ClassifierWeights, embeddings: Any) -> Any:
    return tf.reshape(SingleText(weights).norm(EMBEDDINGS_NORM, embeddings), [1, 1, -1, weights.width])


def _float_inputs(weights: ClassifierWeights, row: NDArray[np.int32], pad_id: int) -> dict[str, NDArray[np.float32]]:
    """The inputs of the encoder for one padded row, int32[1, length], before they are rounded to int8."""
    embeddings = weights.token_embeddings[row[0]] + weights.position_embeddings[: row.shape[1]]
    mask = (row != pad_id).astype(np.float32)
    return {EMBEDDINGS: _normalized(weights, embeddings).numpy(), ATTENTION_MASK: mask.reshape(1, 1, -1, 1)}


def _encoder_inputs(weights: ClassifierWeights, encoder: bytes) -> Callable[[Any, Any], Mapping[str, Any]]:
    """Returns the last steps of `embed`: the layer norm, and rounding to int8 with the encoder's input scales."""
    [subgraph] = schema.ModelT.InitFromPackedBuf(encoder, 0).subgraphs
    tensors = {
        tensor.name.decode(): tensor.quantization for tensor in map(subgraph.tensors.__getitem__, subgraph.inputs)
    }
    steps = {name: (float(found.scale[0]), int(found.zeroPoint[0])) for name, found in tensors.items()}

    def encoder_inputs(embeddings: Any, mask: Any) -> dict[str, Any]:
        inputs = {EMBEDDINGS: _normalized(weights, embeddings), ATTENTION_MASK: tf.reshape(mask, [1, 1, -1, 1])}
        return {name: _rounded(values, *steps[name]) for name, values in inputs.items()}

    return encoder_inputs


def _rounded(values: Any, scale: float, zero_point: int) -> Any:
    return tf.cast(tf.clip_by_value(tf.round(values / scale) + float(zero_point), -128.0, 127.0), tf.int8)


def _measure(model: bytes, inputs: Iterable[Mapping[str, NDArray[np.float32]]]) -> dict[str, tuple[float, float]]:
    """Runs a float encoder on all inputs: tensor name -> (min, max) of every computed tensor; the range includes 0."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # LiteRT warns that preserved tensors take memory
        interpreter = Interpreter(model_content=model, experimental_preserve_all_tensors=True)
    runner = interpreter.get_signature_runner(_SIGNATURE)
    indices = _computed_tensors(model)
    names = {d["index"]: d["name"] for d in interpreter.get_tensor_details() if d["index"] in indices}
    found = dict.fromkeys(names.values(), (0.0, 0.0))
    for values in inputs:
        runner(**values)
        length = int(values[ATTENTION_MASK].sum())
        for index, name in names.items():
            tensor = interpreter.get_tensor(index)
            if not name.startswith("padding/"):
                tensor = _at_tokens(tensor, values[ATTENTION_MASK].size, length)
            low, high = found[name]
            found[name] = min(low, float(tensor.min())), max(high, float(tensor.max()))
    return found


def _at_tokens(tensor: NDArray[np.float32], padded: int, length: int) -> NDArray[np.float32]:
    """Cuts padding off a tensor, because no later step depends on values there."""
    if tensor.ndim < _IMAGE_RANK:
        return tensor
    # Axes 1 and 2 are queries and keys in attention, [1, length, length, heads], and 1 and positions elsewhere.
    rows, columns = (slice(length if size == padded else None) for size in tensor.shape[1:3])
    return tensor[:, rows, columns]


def _computed_tensors(model: bytes) -> set[int]:
    subgraph = schema.ModelT.InitFromPackedBuf(model, 0).subgraphs[0]
    return {int(i) for tensors in (subgraph.inputs, *(op.outputs for op in subgraph.operators)) for i in tensors}


def _with_sites(model: bytes, measured: Ranges, ranges: Ranges) -> dict[str, tuple[float, float]]:
    """Replaces measured ranges of sites by given ones, and clips ranges to the values that affect later steps."""
    found = dict(measured)
    for site, name in _sites(model):
        if site in ranges:
            low, high = ranges[site]
            found[name] = (-high, -low) if _is_negated(site, name) else (low, high)
        elif _is_negated(site, name):
            found[name] = _clip_scores(found[name], found[_in_attention(site, "Min")])
        if site.endswith("/intermediate"):
            found[name] = max(found[name][0], GELU_FLOOR), found[name][1]
        if site.endswith("/scores"):
            found[_in_attention(site, "masked")] = found[name]
    for suffix, pair in _FIXED_RANGES.items():
        found |= {name: pair for name in found if name.endswith(suffix)}
    return found


def _is_negated(site: str, name: str) -> bool:
    """True if a tensor has the negated attention scores, which a convolution sums."""
    return site.endswith("/scores") and name.endswith("/Conv2D")


def _in_attention(site: str, name: str) -> str:
    return f"{site.removesuffix('scores')}attention/{name}"


def _clip_scores(negated: tuple[float, float], smallest: tuple[float, float]) -> tuple[float, float]:
    """Clips the range of negated scores: attention is 0 for those that are far above the smallest of their row."""
    return smallest[0], min(negated[1], smallest[1] + _SCORE_SPAN)


def _sites(model: bytes) -> Iterator[tuple[str, str]]:
    """(site, tensor name) of every step that is a site."""
    subgraph = schema.ModelT.InitFromPackedBuf(model, 0).subgraphs[0]
    for op in subgraph.operators:
        name = subgraph.tensors[op.outputs[0]].name.decode()
        parts = [match.group(1) for match in map(_STEP.fullmatch, name.split(";")) if match]
        site = site_of(name, _SIGNATURE) or (parts[-1] if parts else "")
        if site:
            yield site, name


def _quantize(model: bytes, ranges: Ranges) -> bytes:
    from litert_quantizer import qtyping, quantizer

    statistics = {name: {"min": np.float32(low), "max": np.float32(high)} for name, (low, high) in ranges.items()}
    with TemporaryDirectory(prefix="edgedistil-") as folder:
        path = Path(folder, "float.tflite")
        path.write_bytes(model)
        work = quantizer.Quantizer(str(path))
        work.add_static_config(".*", qtyping.TFLOperationName.ALL_SUPPORTED, 8, 8)
        try:
            with quiet():
                quantized = work.quantize(statistics).quantized_model
        except Exception as error:  # the quantizer's own errors have no common type
            raise ConversionError(f"litert-quantizer refused the int8 encoder: {error}") from error
    return bytes(quantized)


def _for_compiler(model: bytes) -> bytes:
    """Moves constants into the flatbuffer, sets int8 op versions and tensor names, removes signatures and metadata."""
    content = schema.ModelT.InitFromPackedBuf(normalize_flatbuffer(model), 0)
    [signature], [subgraph] = content.signatureDefs, content.subgraphs
    for entry in (*signature.inputs, *signature.outputs):
        subgraph.tensors[entry.tensorIndex].name = entry.name
    for code in content.operatorCodes:
        code.version = _INT8_VERSIONS[code.builtinCode]
    content.signatureDefs, content.metadata, content.metadataBuffer = [], [], []
    return packed(content, len(model))
