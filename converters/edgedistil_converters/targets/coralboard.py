"""The encoder for a Coralboard (Synaptics SL2619, Torq NPU): the one for the Edge TPU, compiled by other programs.

    encoder.tflite --tosa-converter-for-tflite--> TOSA --torq-compile--> encoder.vmfb

The compiler can be wrong without an error. It compiles the encoder for the Edge TPU, and the vendor's simulator answers
something else, because a minimum and its broadcast are fused (see `EdgeTPUGraph.is_for_torq`). A conversion therefore
simulates the golden cases (`verification/simulation.py`).
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from ai_edge_litert import schema_py_generated as schema

from edgedistil_converters.model.weights import ClassifierWeights
from edgedistil_converters.quantization.plan import QuantizationPlan
from edgedistil_converters.quantization.ranges import Ranges
from edgedistil_converters.targets.edgetpu import build_int8_encoder
from edgedistil_converters.targets.parts import TargetEncoder
from edgedistil_converters.targets.torq_report import TorqReport, read_torq_report
from edgedistil_converters.targets.torq_tools import TorqTools, find_torq_tools, run_torq_tool
from edgedistil_runtime.artifact import CompiledTensor, TokenizerSettings
from edgedistil_runtime.backends.torq import TORQ_CHIP
from edgedistil_runtime.contract import CORALBOARD
from edgedistil_runtime.errors import ConversionError

__all__ = ["TorqCompilation", "build_coralboard_encoder", "compile_for_torq"]

# With its transpose optimization, torq-compile 2.3.0 ends on a failed assertion in OptimizeTransposeLayoutPass.cpp.
# Without the host, an op that the chip cannot run is an error instead of a slow program for its ARM cores.
_COMPILER_OPTIONS = (f"--torq-hw={TORQ_CHIP}", "--torq-enable-transpose-optimization=false", "--torq-disable-host")
_SIGNATURE = re.compile(r'tf\.entry_function = \{inputs = "([^"]*)", outputs = "([^"]*)"\}')


@dataclass(frozen=True)
class TorqCompilation:
    """A compiled encoder.

    Attributes:
        module: The VMFB.
        tensors: Its inputs in order, then its output.
        report: The compiler's own estimate.
    """

    module: bytes
    tensors: tuple[CompiledTensor, ...]
    report: TorqReport


def build_coralboard_encoder(
    weights: ClassifierWeights,
    settings: TokenizerSettings,
    plan: QuantizationPlan,
    token_ids: Iterable[Sequence[int]],
    *,
    ranges: Ranges | None = None,
) -> TargetEncoder:
    """Builds a classifier's encoder for a Coralboard and compiles it.

    Args:
        weights: Weights of the classifier.
        settings: Options of its tokenizer; the encoder's only length is their `sequence_length`.
        plan: A plan of int8-static or int8-qat without other schemes in `layers`.
        token_ids: Token ids without padding, to measure ranges on.
        ranges: Ranges learned in training, site -> (min, max); they replace the measured ones.

    Raises:
        ConversionError: See `build_edgetpu_encoder`; or a program is missing, does not start on this system, or
            refuses the encoder.
    """
    tools = find_torq_tools()
    built = build_int8_encoder(weights, settings, plan, token_ids, ranges=ranges, target=CORALBOARD)
    compilation = compile_for_torq(tools, built.flatbuffer)
    mapping = {
        "source": "torq-compile",
        "chip": TORQ_CHIP,
        "versions": tools.versions(),
        "options": list(_COMPILER_OPTIONS),
        **compilation.report.to_dict(),
    }
    return replace(built, compiled=compilation.module, mapping=mapping, tensors=compilation.tensors)


def compile_for_torq(
    tools: TorqTools, flatbuffer: bytes, options: Sequence[str] = _COMPILER_OPTIONS
) -> TorqCompilation:
    """Compiles an int8 encoder.

    Args:
        tools: The programs.
        flatbuffer: A TFLite model with one subgraph and no signature.
        options: Options of torq-compile.

    Raises:
        ConversionError: A program does not start on this system, or refuses the encoder.
    """
    with TemporaryDirectory(prefix="edgedistil-") as name:
        folder = Path(name)
        source, tosa, module, profile = (folder / f"encoder.{end}" for end in ("tflite", "mlir", "vmfb", "csv"))
        source.write_bytes(flatbuffer)
        run_torq_tool([tools.converter, str(source), "--text", "-o", str(tosa)], "convert the encoder to TOSA")
        text = tosa.read_text(encoding="utf-8")
        order = _argument_order(text)
        run_torq_tool(
            [tools.compiler, *options, *_profile_into(profile), str(tosa), "-o", str(module)],
            "compile the encoder",
        )
        report = read_torq_report(text, profile.read_text(encoding="utf-8").splitlines())
        return TorqCompilation(module.read_bytes(), _tensors(flatbuffer, order), report)


def _profile_into(path: Path) -> tuple[str, str]:
    # Without the first option the second one writes nothing. The module is the same.
    return "--torq-enable-profiling", f"--torq-dump-profiling={path}"


def _argument_order(tosa: str) -> tuple[str, ...]:
    """Names of the inputs in the order of the function's arguments, then that of its output."""
    match = _SIGNATURE.search(tosa)
    foreign = sorted(set(re.findall(r"= \"?(tfl\.\w+)", tosa)))
    if match is None or foreign:
        raise ConversionError(
            "tosa-converter-for-tflite must give a function with named inputs, all in TOSA. "
            f"Received: {f'ops {foreign} left over' if foreign else 'a module without names'}."
        )
    inputs, output = match.groups()
    return (*inputs.split(","), output)


def _tensors(flatbuffer: bytes, order: Sequence[str]) -> tuple[CompiledTensor, ...]:
    [subgraph] = schema.ModelT.InitFromPackedBuf(flatbuffer, 0).subgraphs
    found = {tensor.name.decode(): tensor for tensor in subgraph.tensors}
    return tuple(
        CompiledTensor(
            name=name,
            shape=tuple(int(size) for size in found[name].shape),
            scale=float(found[name].quantization.scale[0]),
            zero_point=int(found[name].quantization.zeroPoint[0]),
        )
        for name in order
    )
