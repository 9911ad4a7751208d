#!/bin/sh
# ai-edge-litert 1.4.0: a matmul whose int4 weights have one scale per 32 values (blockwise, written by litert-quantizer
# 0.11.0) is computed without an error, and the numbers are wrong.
#
# One fully connected layer, weights of 64 x 64, int4 blockwise, float input: the interpreter loads the file, runs it, and
# its output has almost nothing to do with the product. ai-edge-litert 2.3.0 runs the same file and is within int4's own
# rounding. LiteRT 1.4.0 is what react-native-fast-tflite 3.0 and tflite_flutter 0.12.1 bring on Android, so an int4 model
# that was checked with the newest wheel may answer otherwise in such an app; only a comparison of answers shows it.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for version in 2.3.0 1.4.0; do
  python3 -m venv "$folder/$version"
  "$folder/$version/bin/pip" install --quiet --disable-pip-version-check "ai-edge-litert==$version" numpy==2.2.6
done
"$folder/2.3.0/bin/pip" install --quiet --disable-pip-version-check litert-quantizer==0.11.0 tensorflow==2.21.0
cat > "$folder/make.py" <<'PYTHON'
import sys

import numpy as np
import tensorflow as tf
from litert_quantizer import qtyping, quantizer

weights = np.random.default_rng(0).normal(0, 1, (64, 64)).astype(np.float32)


@tf.function(input_signature=[tf.TensorSpec([1, 64], tf.float32)], autograph=False)
def layer(x):
    return tf.matmul(x, tf.constant(weights))


model = tf.lite.TFLiteConverter.from_concrete_functions([layer.get_concrete_function()]).convert()
work = quantizer.Quantizer(bytearray(model))
blocks = qtyping.QuantGranularity.BLOCKWISE_32
work.add_dynamic_config(".*", qtyping.TFLOperationName.FULLY_CONNECTED, 4, blocks)
open(sys.argv[1], "wb").write(work.quantize().quantized_model)
x = np.random.default_rng(1).normal(0, 1, (1, 64)).astype(np.float32)
np.savez(sys.argv[2], x=x, due=x @ weights)
PYTHON
cat > "$folder/run.py" <<'PYTHON'
import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter

data = np.load(sys.argv[2])
interpreter = Interpreter(sys.argv[1], num_threads=1)
interpreter.allocate_tensors()
interpreter.set_tensor(interpreter.get_input_details()[0]["index"], data["x"])
interpreter.invoke()
found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
print(f"{np.corrcoef(found.ravel(), data['due'].ravel())[0, 1]:.3f}")
PYTHON
"$folder/2.3.0/bin/python" "$folder/make.py" "$folder/layer.tflite" "$folder/data.npz" > /dev/null 2>&1
new=$("$folder/2.3.0/bin/python" "$folder/run.py" "$folder/layer.tflite" "$folder/data.npz" 2> /dev/null)
old=$("$folder/1.4.0/bin/python" "$folder/run.py" "$folder/layer.tflite" "$folder/data.npz" 2> /dev/null)
echo "correlation with the float product: $new in 2.3.0, $old in 1.4.0"
python3 -c "import sys; new, old = map(float, sys.argv[1:]); sys.exit(not (new > 0.97 and not abs(old) > 0.9))" "$new" "$old"
