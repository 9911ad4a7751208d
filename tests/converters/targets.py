"""What the tests of GPU and Edge TPU share: sizes, texts, and small graphs."""

from edgedistil_converters.quantization.plan import QuantizationPlan

LENGTH, WIDTH, PAD = 24, 16, 0
TEXTS = (
    "turn on the light",
    "play music",
    "",
    "turn the light off in Paris, please!",
    "NASA plays music 日 on and on and on and on and on and on and on and on",
    "é ü ñ straße 京都",
    *(
        f"{a} the {b} {c}"
        for a in ("turn", "play", "is", "stop")
        for b in ("light", "music")
        for c in ("on", "off", "?")
    ),
)


def converted(compute, *shapes, dtype="float32"):
    import tensorflow as tf

    from edgedistil_converters.flatbuffer import convert_module

    module = tf.Module()
    specs = [tf.TensorSpec(shape, getattr(tf, dtype), name=f"x{i}") for i, shape in enumerate(shapes)]
    module.functions = {"f": tf.function(lambda *x: {"y": compute(tf, *x)}, input_signature=specs)}
    return convert_module(module, QuantizationPlan("fp32"), {})
