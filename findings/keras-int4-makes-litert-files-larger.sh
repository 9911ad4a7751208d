#!/bin/sh
# Keras 3.15.1 with TensorFlow 2.21.0: a Dense layer of int4 weights becomes a LiteRT file 1.5 times as large as that of its
# float layer.
#
# `model.quantize("int4")` packs two weights in a byte, and the saved weights have 0.15 of their size. `export(format="litert")`
# accepts the model without a warning. The converter computes at conversion what unpacks the weights, in steps, and keeps
# the results of three of them as constants: the low and the high half as int8, and the weights as float32. The matmul is
# a float one. `quantize("int8")`, which would be four times smaller, ends the export with a ConverterError.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check keras==3.15.1 tensorflow==2.21.0 ai-edge-litert==2.3.0
cd "$folder"
cat > export.py <<'PYTHON'
import sys
import warnings
from pathlib import Path

import keras
from ai_edge_litert import schema_py_generated as schema

warnings.simplefilter("ignore")  # that an input layer has nothing to quantize
WIDTH = 512
NAMES = {number: name for name, number in vars(schema.TensorType).items() if isinstance(number, int)}


def export(mode):
    inputs = keras.Input((WIDTH,))
    model = keras.Model(inputs, keras.layers.Dense(WIDTH)(inputs))
    if mode != "float":
        model.quantize(mode)
    model.save_weights(f"{mode}.weights.h5")
    model.export(f"{mode}.tflite", format="litert", verbose=False)
    content = Path(f"{mode}.tflite").read_bytes()
    read = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    constants = sorted(
        (NAMES[tensor.type], len(read.buffers[tensor.buffer].data) / WIDTH**2)
        for tensor in read.subgraphs[0].tensors
        if read.buffers[tensor.buffer].data is not None and len(read.buffers[tensor.buffer].data) >= WIDTH**2 / 2
    )
    saved = Path(f"{mode}.weights.h5").stat().st_size
    print(f"{mode}: weights saved {saved} bytes, file {len(content)}, constants and their bytes for a weight: {constants}")
    return len(content), constants


size, _ = export("float")
packed, constants = export("int4")
try:
    export("int8")
    ends = False
except Exception as error:
    print(f"int8: {type(error).__name__}")
    ends = type(error).__name__ == "ConverterError"
is_as_described = 1.4 < packed / size < 1.6 and constants == [("FLOAT32", 4), ("INT8", 1), ("INT8", 1)] and ends
sys.exit(0 if is_as_described else "the behaviour has changed")
PYTHON
KERAS_BACKEND=tensorflow TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" export.py 2> "$folder/stderr" || { tail -3 "$folder/stderr" >&2; exit 1; }
