"""A classifier's weights and data to train them on, small enough for tests of quantization-aware training."""

import numpy as np

from edgedistil_converters import LayerScheme, QuantizationPlan
from edgedistil_converters.model.weights import ClassifierWeights, Dense, LayerNorm, TransformerLayer
from edgedistil_converters.preparation.quantization_aware import QATData, QATSettings, train_quantization_aware
from edgedistil_converters.preparation.quantization_aware.job import Job

PAD, VOCABULARY, POSITIONS, WIDTH, HEADS, INTERMEDIATE, CLASSES = 0, 40, 14, 8, 2, 24, 3
SETTINGS = QATSettings(epochs=2, batch_size=16, learning_rate=3e-3)
TEXTS = 60


def make_weights(*, num_layers=2, classes=CLASSES, output_activation="logits"):
    generator = np.random.default_rng(5)

    def normal(*shape):
        return generator.normal(0, 0.4, shape).astype(np.float32)

    def dense(inputs, outputs):
        return Dense(normal(inputs, outputs), normal(outputs))

    def norm(epsilon=1e-12):
        return LayerNorm(1 + normal(WIDTH), normal(WIDTH), epsilon)

    def layer():
        square = [dense(WIDTH, WIDTH) for _ in range(4)]
        return TransformerLayer(*square, norm(), dense(WIDTH, INTERMEDIATE), dense(INTERMEDIATE, WIDTH), norm(1e-5))

    return ClassifierWeights(
        token_embeddings=normal(VOCABULARY, WIDTH),
        position_embeddings=normal(POSITIONS, WIDTH),
        embeddings_layer_norm=norm(),
        layers=tuple(layer() for _ in range(num_layers)),
        num_heads=HEADS,
        pooled_dense=dense(WIDTH, WIDTH),
        logits=dense(WIDTH, classes),
        output_activation=output_activation,
    )


def make_data(classes=CLASSES):
    """The label is told by the second token, and the teacher is rather sure of it."""
    generator = np.random.default_rng(6)
    rows = [generator.integers(4, VOCABULARY, generator.integers(1, POSITIONS - 1)).tolist() for _ in range(TEXTS)]
    rows[0] = rows[0][:1] * (POSITIONS - 2)  # as long as a text can be
    targets = np.asarray([row[0] % classes for row in rows], np.int32)
    teacher = np.full((TEXTS, classes), 0.1 / max(1, classes - 1), np.float32)
    teacher[np.arange(TEXTS), targets] = 0.9
    return QATData(tuple((2, *row, 3) for row in rows), targets, teacher)


INT8 = QuantizationPlan("int8-qat")
MIXED = QuantizationPlan("int8-qat", (LayerScheme("*_embeddings", "int4"), LayerScheme("pooled_dense", "fp32")))


def make_job(weights=None, *, data=None, settings=SETTINGS, pad_id=PAD, plan=INT8):
    weights = weights or make_weights()
    return Job(weights, data or make_data(), settings, pad_id, plan.weight_dtypes(len(weights.layers)))


JOB = make_job()
# Only its texts count: what is due of them is up to what the classifier says, and the probe looks that up.
ONE_OUTPUT = make_job(
    make_weights(classes=1, output_activation="sigmoid"),
    data=make_data(1),
    settings=QATSettings(epochs=4, batch_size=16, learning_rate=3e-3, distillation_weight=0.1),
)


def train(folder, *, settings=SETTINGS, on_progress=None):
    return train_quantization_aware(
        JOB.weights, JOB.data, settings, pad_id=JOB.pad_id, folder=folder, on_progress=on_progress
    )


def softmax(x):
    exps = np.exp(x - x.max(axis=-1, keepdims=True))
    return exps / exps.sum(axis=-1, keepdims=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x, np.float64)))
