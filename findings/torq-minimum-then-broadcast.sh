#!/bin/sh
# torq-compiler 2.3.0: a minimum over an axis, subtracted from what it was taken of, is wrong where the axis is not the last.
#
# `min(x, axis 2) - x` of int8[1, 48, 48, 4] compiles without an error. In the vendor's simulator a third of the values of
# random inputs are wrong, by up to 110 of 256 steps, because the broadcast reads minima of other rows. The minimum without
# the subtraction is right, and so is the subtraction with the minimum as an input.
#
# The packages are those of tests/torq/requirements.txt, for x86-64 Linux; uv must be on the PATH.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 "$here/tools/torq_environment.py" "$folder/torq"
cd "$folder"
env -u PYTHONPATH -u PYTHONHOME "$folder/torq/bin/python" - "$folder/torq/bin" <<'PYTHON'
import pathlib
import subprocess
import sys

import numpy as np

TOOLS = pathlib.Path(sys.argv[1])
WHOLE, ROW = "tensor<1x48x48x4x{}>", "tensor<1x48x1x4x{}>"
CONSTANTS = "".join(
    f'%{name} = "tosa.const"() <{{values = dense<{value}> : tensor<1x{kind}>}}> : () -> tensor<1x{kind}>\n'
    for name, value, kind in (
        *(("zp", 127, "i8"), ("out_shift", 48, "i8"), ("out_factor", 1510803383, "i32"), ("zero", 0, "i32")),
        *(("in_zp", 21, "i8"), ("in_shift", 11, "i8"), ("in_factor", 1073741824, "i32")),
    )
)
OPTIONS = "{input_unsigned = false, output_unsigned = false, per_channel = false, rounding_mode = DOUBLE_ROUND, scale32 = true}"


def widen(result, value, shape):
    types = f"({shape.format('i8')}, tensor<1xi32>, tensor<1xi8>, tensor<1xi8>, tensor<1xi32>) -> {shape.format('i32')}"
    return f"%{result} = tosa.rescale %{value}, %in_factor, %in_shift, %in_zp, %zero {OPTIONS} : {types}\n"


SMALLEST = f"%smallest = tosa.reduce_min %x {{axis = 2 : i32}} : ({WHOLE.format('i8')}) -> {ROW.format('i8')}\n"
SUBTRACT = (
    f"{CONSTANTS}{widen('a', 'smallest', ROW)}{widen('b', 'x', WHOLE)}"
    f"%c = tosa.sub %a, %b : ({ROW.format('i32')}, {WHOLE.format('i32')}) -> {WHOLE.format('i32')}\n"
    f"%d = tosa.rescale %c, %out_factor, %out_shift, %zero, %zp {OPTIONS} : "
    f"({WHOLE.format('i32')}, tensor<1xi32>, tensor<1xi8>, tensor<1xi32>, tensor<1xi8>) -> {WHOLE.format('i8')}\n"
)


def simulate(body, result, shape, **inputs):
    """Compiles a function of int8 tensors and runs it in the simulator."""
    types = {"x": WHOLE.format("i8"), "smallest": ROW.format("i8")}
    arguments = ", ".join(f"%{name}: {types[name]}" for name in inputs)
    kind = shape.format("i8")
    pathlib.Path("m.mlir").write_text(
        f"module {{\nfunc.func @main({arguments}) -> {kind} {{\n{body}return %{result} : {kind}\n}}\n}}\n"
    )
    command = [TOOLS / "torq-compile", "m.mlir", "-o", "m.vmfb"]
    subprocess.run(command, check=True, capture_output=True)
    flags = []
    for name, values in inputs.items():
        np.save(f"{name}.npy", values)
        flags.append(f"--input=@{name}.npy")
    command = [TOOLS / "torq-run-module", "--module=m.vmfb", "--function=main", "--device=torq", *flags]
    subprocess.run([*command, "--output=@out.npy"], check=True, capture_output=True)
    return np.load("out.npy").astype(int)


x = np.random.default_rng(0).integers(-128, 128, (1, 48, 48, 4)).astype(np.int8)
smallest = simulate(SMALLEST, "smallest", ROW, x=x)
assert (smallest == x.min(axis=2, keepdims=True)).all(), "the minimum alone is right"
apart = simulate(SUBTRACT, "d", WHOLE, smallest=smallest.astype(np.int8), x=x)
together = simulate(SMALLEST + SUBTRACT, "d", WHOLE, x=x)
wrong = np.abs(together - apart) > 1
print(f"compiled together, {wrong.mean():.0%} of the values differ, by up to {np.abs(together - apart).max()} of 256 steps")
raise SystemExit(0 if wrong.any() else "the behaviour has changed")
PYTHON
