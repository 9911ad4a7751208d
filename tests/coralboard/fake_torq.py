"""A stand-in for the programs and the runner for the Coralboard's NPU: the same arguments, files of the same form.

As a program it acts by its own name. Its TOSA has the signature and carries the flatbuffer in a comment; its VMFB is a
ZIP archive with the flatbuffer, as a real one is a ZIP archive; its simulator and its runner run that with LiteRT's
reference kernels.

Environment: FAKE_TORQ_MODE, how a program or the runner fails: see `_fail` and `run`.
"""

import base64
import io
import os
import sys
import zipfile
from pathlib import Path
from typing import ClassVar

import numpy as np

MODE = "FAKE_TORQ_MODE"
HEADER = "taskId, elapsed_time(us), timestamp(us), event, location, bytes"
MUL = "%9 = tosa.mul %7, %8, %0 : (tensor<1x4x4x2xi32>, tensor<1x4x1x2xi32>, tensor<1xi8>) -> tensor<1x4x4x2xi32>"
FAILURES = {
    "refuses": "encoder.mlir:9:10: error: failed to legalize operation 'tosa.erf' that was explicitly marked illegal",
    "crash": "ConversionUtils.cpp:279: transposeType: Assertion `rank == 4' failed.",
    "old": "torq-compile: /lib/libc.so.6: version `GLIBC_2.38' not found (required by libIREECompiler.so)",
    "other_hardware": "<vm>:0: INCOMPATIBLE; HAL device `__device_0` not found or unavailable: <llvm-cpu>",
}


def write_programs(folder: Path) -> Path:
    """Writes the programs into a folder, for `TORQ_TOOLS`, and returns it."""
    for name in PROGRAMS:
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).resolve()}" "$0" "$@"\n')
        program.chmod(0o755)
    return folder


def convert(arguments: list[str]) -> None:
    """tosa-converter-for-tflite MODEL --text -o FILE."""
    content = Path(arguments[0]).read_bytes()
    inputs = "attention_mask,embeddings"  # by the order of the flatbuffer
    left_over = '%1 = "tfl.custom"(%0) : (tensor<1xi8>) -> tensor<1xi8>\n' if _mode() == "left_over" else ""
    Path(arguments[-1]).write_text(
        f"// {base64.b64encode(content).decode()}\n"
        'module attributes {tfl.description = "MLIR Converted."} {\n'
        f'func.func @main() attributes {{tf.entry_function = {{inputs = "{inputs}", outputs = "probabilities"}}}} {{\n'
        f'%0 = "tosa.const"() : () -> tensor<1xi8>\n{left_over}%2 = tosa.add %0, %0 : (tensor<1xi8>)\n{MUL}\n'
    )


def compile_module(arguments: list[str]) -> None:
    """torq-compile OPTIONS FILE.mlir -o FILE.vmfb."""
    options = [option.split("=")[0] for option in arguments[:-3]]
    assert options == [
        *("--torq-hw", "--torq-enable-transpose-optimization", "--torq-disable-host"),
        *("--torq-enable-profiling", "--torq-dump-profiling"),
    ], options
    _fail("torq-compile")
    lines = Path(arguments[-3]).read_text().splitlines()
    with zipfile.ZipFile(arguments[-1], "w") as archive:
        archive.writestr("module.fb", base64.b64decode(lines[0][3:]))
    number = lines.index(MUL) + 1
    location = f'loc(callsite("encoder.mlir":{number}:8 at "encoder.mlir":2:3))'
    rows = [f"0,100,0,DMA In,{location},640", f"1,8000,50,CSS,{location},", f"2,8000,9000,CSS,{location},"]
    Path(arguments[-4].split("=")[1]).write_text("\n".join((HEADER, *rows, "")))


def run_module(arguments: list[str]) -> None:
    """torq-run-module --module=FILE --function=main --device=torq --input=@FILE ... --output=@FILE."""
    _fail("torq-run-module")
    module, function, device, *inputs, output = (argument.split("=", 1)[1] for argument in arguments)
    assert (function, device) == ("main", "torq")
    np.save(output.removeprefix("@"), run(Path(module), [np.load(name.removeprefix("@")) for name in inputs]))


def run(module: Path, inputs: list[np.ndarray]) -> np.ndarray:
    """Runs a VMFB of `compile_module`; in the mode `wrong` with another answer."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    with zipfile.ZipFile(io.BytesIO(module.read_bytes())) as archive:
        content = archive.read("module.fb")
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    for detail, values in zip(interpreter.get_input_details(), inputs, strict=True):
        if detail["shape"].tolist() != list(values.shape):
            raise ValueError(f"INVALID_ARGUMENT; expected {detail['shape'].tolist()}, received {values.shape}")
        interpreter.set_tensor(detail["index"], values)
    interpreter.invoke()
    [output] = interpreter.get_output_details()
    steps = interpreter.get_tensor(output["index"])
    return {"wrong": np.roll(steps, 1, -1), "zeros": np.full_like(steps, -128)}.get(_mode(), steps)


class Info:
    """A tensor as the vendor's runner describes it."""

    def __init__(self, shape: list[int]) -> None:
        self.shape = shape


class VMFBInferenceRunner:
    """The vendor's runner, as far as the runtime uses it; it ends the process where there is no NPU."""

    made: ClassVar[list[tuple[str, str]]] = []

    def __init__(self, model_path: str, *, device_uri: str = "torq", torq_hw_type: str = "astra_machina") -> None:
        if _mode() == "no_npu":
            os.abort()
        if _mode() in FAILURES:
            raise RuntimeError(f"Error creating vm context with modules: {FAILURES[_mode()]}")
        self.made.append((device_uri, torq_hw_type))
        self.path = Path(model_path)
        self.path.read_bytes()
        shapes = {"declares": [[1, 2], [3]], "declares_nothing": None}.get(_mode(), [])
        self.inputs_info = None if shapes is None else [Info(shape) for shape in shapes]
        self.outputs_info: list[Info] | None = None

    def infer(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        if _mode() == "fails":
            raise RuntimeError("DEADLINE_EXCEEDED; the NPU does not answer")
        return [run(self.path, inputs)]


def _mode() -> str:
    return os.environ.get(MODE, "")


def _fail(program: str) -> None:
    wanted = {"other_hardware": "torq-run-module"}.get(_mode(), "torq-compile")
    if _mode() in FAILURES and program == wanted:
        sys.stderr.write(f"some warning\n{FAILURES[_mode()]}\nnote: see the operation\n")
        sys.exit(134 if _mode() == "crash" else 1)


PROGRAMS = {"tosa-converter-for-tflite": convert, "torq-compile": compile_module, "torq-run-module": run_module}

if __name__ == "__main__":
    PROGRAMS[Path(sys.argv[1]).name](sys.argv[2:])
