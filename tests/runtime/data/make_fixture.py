"""Writes `echo.tflite`: a real model of a few kB with the signatures of the artifact contract and toy arithmetic.

The runtime's tests run it through a real interpreter, in environments that have no TensorFlow; only this script needs
it: `.venv/bin/python tests/runtime/data/make_fixture.py`. What it computes (`test_runtime_interpreter.py` computes
the same by hand):

    token_ids      1, the bytes before the first zero, 2
    mean           of the token ids that are not 0, divided by 64
    probabilities  softmax(mean, 1, 2 - mean)
"""

import pathlib

import tensorflow as tf

INT_ROW = tf.TensorSpec([None], tf.int32, name="text")
ROWS = tf.TensorSpec([None, None], tf.int32, name="token_ids")


class Echo(tf.Module):
    """The three signatures."""

    @tf.function(input_signature=[INT_ROW])
    def tokenize(self, text):
        is_before_zero = tf.equal(tf.cumsum(tf.cast(tf.equal(text, 0), tf.int32)), 0)
        content = tf.boolean_mask(text, is_before_zero)
        return {"token_ids": tf.concat([[1], content, [2]], axis=0)[tf.newaxis]}

    @tf.function(input_signature=[ROWS])
    def classify_tokens(self, token_ids):
        count = tf.reduce_sum(tf.cast(tf.not_equal(token_ids, 0), tf.float32), axis=1)
        mean = tf.reduce_sum(tf.cast(token_ids, tf.float32), axis=1) / count / 64.0
        logits = tf.stack([mean, tf.ones_like(mean), 2.0 - mean], axis=1)
        return {"probabilities": tf.nn.softmax(logits)}

    @tf.function(input_signature=[INT_ROW])
    def classify_text(self, text):
        return self.classify_tokens(self.tokenize(text)["token_ids"])


def main():
    echo = Echo()
    names = ("classify_text", "tokenize", "classify_tokens")
    here = pathlib.Path(__file__).parent
    saved = here / "saved_model.tmp"
    tf.saved_model.save(echo, str(saved), signatures={name: getattr(echo, name) for name in names})
    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved), signature_keys=list(names))
    (here / "echo.tflite").write_bytes(converter.convert())
    for path in sorted(saved.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    saved.rmdir()


if __name__ == "__main__":
    main()
