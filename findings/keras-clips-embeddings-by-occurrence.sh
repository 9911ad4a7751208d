#!/bin/sh
# Keras 3.15.1 on TensorFlow 2.21.0: clipped gradients of an `Embedding` exceed the bound if a token occurs twice.
#
# The gradient of an embedding table has a slice for each occurrence of a token. `clipnorm`, `global_clipnorm` and
# `clipvalue` look at the slices before those of one row are added up. With a bound of 1, a token that occurs four times in
# a batch moves its row by 2 (norms) or by 4 (values), where the same gradient as a dense tensor moves it by 1. The norm of
# a whole text model is wrong in the same way, in every batch in which a word occurs twice.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check keras==3.15.1 tensorflow==2.21.0
cd "$folder"
TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" - 2> /dev/null <<'PYTHON'
import keras
import numpy as np
import tensorflow as tf

TOKENS = np.array([[1, 1, 1, 1]])


def move(bound, *, is_dense):
    """How far one step with a learning rate of 1 moves the row of token 1, whose gradient is 4."""
    layer = keras.layers.Embedding(3, 1, embeddings_initializer="zeros")
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(TOKENS))
    [gradient] = tape.gradient(loss, [layer.embeddings.value])
    assert isinstance(gradient, tf.IndexedSlices)
    if is_dense:
        gradient = tf.convert_to_tensor(gradient)
    keras.optimizers.SGD(1.0, **bound).apply([gradient], [layer.embeddings])
    return round(-float(layer.embeddings.numpy()[1, 0]), 4)


changed = False
for name, expected in (("clipnorm", 2.0), ("global_clipnorm", 2.0), ("clipvalue", 4.0)):
    sparse, dense = (move({name: 1.0}, is_dense=is_dense) for is_dense in (False, True))
    print(f"{name}=1: the row moves by {sparse} with slices, by {dense} with a dense gradient")
    changed |= (sparse, dense) != (expected, 1.0)
raise SystemExit("the behaviour has changed" if changed else 0)
PYTHON
