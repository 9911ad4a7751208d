#!/bin/sh
# ai-edge-litert 2.3.0: CompiledModel holds Python's lock (GIL) while it runs a model, Interpreter releases it.
#
# Both are LiteRT's interfaces for Python, in one wheel, over the same kernels. While a model of some hundred milliseconds
# runs in one thread, another thread counts. Beside Interpreter it counts on; beside CompiledModel it stops until
# the run is over. So two threads with a CompiledModel each are no faster than one, a web server or a window does not answer
# while a text is classified, and none of this shows in a benchmark of one thread.
# Seen: the share of its speed that the other thread keeps: 0.6 beside Interpreter, on a busy machine with two cores, and
# 0.0 beside CompiledModel.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ai-edge-litert==2.3.0 tensorflow==2.21.0 numpy==2.4.6
cat > "$folder/model.py" <<'PYTHON'
import sys

import numpy as np
import tensorflow as tf

kernel = tf.constant(np.random.default_rng(0).normal(0, 0.02, (1024, 1024)).astype("float32"))


@tf.function(input_signature=[tf.TensorSpec([1024, 1024], tf.float32, name="x")], autograph=False)
def multiply(x):
    for _ in range(12):
        x = tf.matmul(x, kernel)
    return {"y": x}


module = tf.Module()
module.multiply = multiply
tf.saved_model.save(module, sys.argv[1] + "/saved", signatures={"multiply": multiply.get_concrete_function()})
model = tf.lite.TFLiteConverter.from_saved_model(sys.argv[1] + "/saved").convert()
open(sys.argv[1] + "/model.tflite", "wb").write(model)
PYTHON
"$folder/venv/bin/python" "$folder/model.py" "$folder" 2>/dev/null
"$folder/venv/bin/python" - "$folder/model.tflite" 2>/dev/null <<'PYTHON'
import sys
import threading
import time

import numpy as np
from ai_edge_litert.compiled_model import CompiledModel
from ai_edge_litert.interpreter import Interpreter

x = np.ones((1024, 1024), np.float32)


def with_interpreter():
    run = Interpreter(sys.argv[1], num_threads=1).get_signature_runner("multiply")
    return lambda: run(x=x)


def with_compiled_model():
    model = CompiledModel.from_file(sys.argv[1])
    inputs, outputs = model.create_input_buffers(0), model.create_output_buffers(0)
    inputs[0].write(x.ravel())
    return lambda: model.run_by_index(0, inputs, outputs)


def counted(seconds_of):
    count, is_done = [0], threading.Event()

    def go():
        while not is_done.is_set():
            count[0] += 1

    thread = threading.Thread(target=go)
    thread.start()
    started, before = time.perf_counter(), count[0]
    seconds_of()
    rate = (count[0] - before) / (time.perf_counter() - started)
    is_done.set()
    thread.join()
    return rate


alone = counted(lambda: time.sleep(0.5))
shares = {}
for make in (with_interpreter, with_compiled_model):
    run = make()
    run()
    shares[make.__name__] = counted(run) / alone
print("share of its speed that another thread keeps:", {name: round(share, 2) for name, share in shares.items()})
is_as_seen = shares["with_interpreter"] > 0.3 and shares["with_compiled_model"] < 0.1
raise SystemExit(0 if is_as_seen else "the behaviour has changed")
PYTHON
