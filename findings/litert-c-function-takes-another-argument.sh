#!/bin/sh
# ai-edge-litert 2.1.5 and 2.2.0: LiteRtCreateModelFromFile of libLiteRt.so has another first argument since 2.2, and neither
# the symbol's version (VERS_1.0) nor the library's soname (libLiteRt.so) changed.
#
# Until 2.1 it takes a path and a place for the model, since 2.2 an environment before them. A program that was linked with
# 2.1 therefore starts with 2.2's library without a complaint of the dynamic loader, which compares just those two names.
# The call then reads the path as an environment, or the environment as a path: status 500 and no model in both directions,
# with a message about a file that cannot be read. The wheel brings no header that would show the difference.
# Seen: 2.1.5: 0 with two arguments, 500 with three; 2.2.0: 500 with two, 0 with three.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip() { "$folder/venv/bin/pip" install --quiet --disable-pip-version-check "$@"; }
pip tensorflow==2.21.0 numpy==2.4.6
for version in 2.1.5 2.2.0; do pip --no-deps --target "$folder/$version" "ai-edge-litert==$version"; done
"$folder/venv/bin/python" - "$folder/model.tflite" <<'PYTHON'
import sys

import tensorflow as tf


@tf.function(input_signature=[tf.TensorSpec([4], tf.float32)], autograph=False)
def double(x):
    return x + x


model = tf.lite.TFLiteConverter.from_concrete_functions([double.get_concrete_function()]).convert()
open(sys.argv[1], "wb").write(model)
PYTHON
cat > "$folder/create.py" <<'PYTHON'
import ctypes
import sys

library, path, count = ctypes.CDLL(sys.argv[1]), sys.argv[2].encode(), sys.argv[3]
environment, model = ctypes.c_void_p(), ctypes.c_void_p()
library.LiteRtCreateEnvironment(0, None, ctypes.byref(environment))
before = [environment] if count == "3" else []
print(library.LiteRtCreateModelFromFile(*before, path, ctypes.byref(model)), end=" ")
PYTHON
seen=$(for version in 2.1.5 2.2.0; do
	for count in 2 3; do
		"$folder/venv/bin/python" "$folder/create.py" "$folder/$version/ai_edge_litert/libLiteRt.so" \
			"$folder/model.tflite" "$count" 2>/dev/null
	done
done)
echo "2.1.5 with 2 and 3 arguments, 2.2.0 with 2 and 3: $seen"
test "$seen" = "0 500 500 0 "
