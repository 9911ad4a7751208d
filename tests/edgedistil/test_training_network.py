"""The model that is trained computes what the Keras classifier computes; so do the parts that training adds."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.linear_model import LogisticRegression

from edgedistil.builder import build_classifier
from edgedistil.data import TrainingData
from edgedistil.training import TrainingSettings
from edgedistil.training.batches import tokenize
from edgedistil.training.head import fit_linear_head, linear_head_width, set_linear_head
from edgedistil.training.keras_outputs import softmax
from edgedistil.training.network import Evaluator, TrainingNetwork, pieces_that_occur, with_rows
from edgedistil.training.optimization import LayerwiseAdamW
from edgedistil.training.pooling import with_mean_pooling
from edgedistil.training.start import from_preset
from edgedistil.training.targets import class_weights


@pytest.fixture(scope="module")
def classifier(make_tiny_classifier):
    classifier = make_tiny_classifier()
    for variable in classifier.trainable_variables:  # biases and layer norms that are not 0 and 1
        variable.assign_add(keras.random.normal(variable.shape, stddev=0.1, seed=1))
    return classifier


@pytest.fixture(scope="module")
def tokenized(classifier, texts):
    return tokenize(classifier.preprocessor, texts.texts)


def small_network(classifier, tokenized):
    pieces = pieces_that_occur([tokenized])
    return TrainingNetwork(classifier, pieces), with_rows(tokenized, pieces)


def gradients(model, inputs, variables):
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(model(inputs)))
    found = tape.gradient(loss, [variable.value for variable in variables])
    return {
        variable.path: np.array(tf.convert_to_tensor(value)) for variable, value in zip(variables, found, strict=True)
    }


def test_logits_are_the_classifiers(classifier, tokenized):
    network, rows = small_network(classifier, tokenized)
    expected = classifier({"token_ids": tokenized.token_ids, "padding_mask": tokenized.padding_mask})
    np.testing.assert_allclose(Evaluator(network).logits(rows), expected, atol=1e-5)


def test_gradients_are_those_of_kerashub_layers(classifier, tokenized):
    network, rows = small_network(classifier, tokenized)
    reference = keras.Model(classifier.input, classifier.output)
    ours = gradients(network, rows.batch(np.arange(5), is_full_length=False), network.trainable_variables)
    theirs = gradients(reference, tokenized.batch(np.arange(5), is_full_length=False), reference.trainable_variables)
    pieces = pieces_that_occur([tokenized])
    [table] = [path for path in theirs if path.endswith("token_embedding/embeddings")]
    theirs["training_network/embeddings"] = theirs.pop(table)[pieces]
    assert ours.keys() == theirs.keys()
    for path, value in theirs.items():
        np.testing.assert_allclose(ours[path], value, atol=2e-5 * max(1.0, np.abs(value).max()), err_msg=path)


def one_step(classifier, tokenized, monkeypatch, tokens_per_part):
    """Loss, accuracy and gradients of a step that trains on a whole batch, with weights that differ by text."""
    monkeypatch.setattr("edgedistil.training.network._TOKENS_PER_PART", tokens_per_part)
    network, rows = small_network(classifier, tokenized)
    network._dropout = network._head_dropout = 0.0
    seen = {}
    optimizer = keras.optimizers.SGD(0.0)
    monkeypatch.setattr(
        optimizer,
        "apply_gradients",
        lambda pairs: seen.update({variable.path: np.array(gradient) for gradient, variable in pairs}),
    )
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    network.compile(optimizer, loss, metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")], run_eagerly=True)
    batch = {name: tf.constant(values) for name, values in rows.batch(np.arange(7), is_full_length=False).items()}
    targets = tf.one_hot([0, 1, 2, 0, 1, 2, 0], network.num_classes)
    logs = network.train_step((batch, targets, tf.linspace(0.5, 2.0, 7)))
    return {name: float(value) for name, value in logs.items()}, seen


@pytest.mark.parametrize("tokens_per_part", [1, 20])
def test_a_batch_in_parts_has_the_gradients_of_the_whole_batch(classifier, tokenized, monkeypatch, tokens_per_part):
    logs, whole = one_step(classifier, tokenized, monkeypatch, 10**6)
    logs_of_parts, added = one_step(classifier, tokenized, monkeypatch, tokens_per_part)
    assert logs_of_parts == pytest.approx(logs, rel=1e-5)
    assert added.keys() == whole.keys() and len(whole) > 10
    for path, value in whole.items():
        np.testing.assert_allclose(added[path], value, atol=1e-5 * max(1.0, np.abs(value).max()), err_msg=path)


def test_parts_of_a_batch_drop_different_values(classifier, tokenized):
    network, rows = small_network(classifier, tokenized)
    network.compile(keras.optimizers.SGD(0.1), "mse")
    batch = rows.batch(np.arange(1), is_full_length=False)
    of_parts = [np.array(network._embed(batch, training=True, start=start)[1]) for start in (0, 0, 8)]
    assert (of_parts[0] == of_parts[1]).all() and (of_parts[0] != of_parts[2]).any()


def test_only_embeddings_of_pieces_that_occur_are_written_back(classifier, tokenized):
    network, _ = small_network(classifier, tokenized)
    table = classifier.backbone.token_embedding.embeddings
    before = np.array(table)
    network._table.assign_add(np.ones(network._table.shape, "float32"))
    network.write_embeddings()
    changed = np.flatnonzero((np.array(table) != before).all(axis=1))
    np.testing.assert_array_equal(changed, pieces_that_occur([tokenized]))
    table.assign(before)


def test_the_optimizer_computes_keras_adamw():
    generator = np.random.default_rng(0)
    start = generator.normal(size=(4, 3)).astype("float32")
    steps = [generator.normal(size=(4, 3)).astype("float32") for _ in range(5)]
    ended = []
    for optimizer in (
        keras.optimizers.AdamW(0.01, weight_decay=0.1, global_clipnorm=1.0),
        LayerwiseAdamW(0.01, rate_of=lambda path: 1.0, weight_decay=0.1, global_clipnorm=1.0),
    ):
        variable = keras.Variable(start, name="kernel")
        for step in steps:
            optimizer.apply([tf.constant(step)], [variable])
        ended.append(np.array(variable))
    np.testing.assert_allclose(*ended, atol=1e-6)


def test_a_piece_that_occurs_twice_counts_as_one_row_when_gradients_are_clipped():
    slices = tf.IndexedSlices(tf.constant([[1.0], [1.0]]), tf.constant([1, 1]), tf.constant([3, 1]))
    optimizer = LayerwiseAdamW(0.01, rate_of=lambda path: 1.0, weight_decay=0.0, global_clipnorm=1.0)
    optimizer.apply([slices], [keras.Variable(np.zeros((3, 1), "float32"))])
    [momentum] = optimizer._momentums
    np.testing.assert_allclose(np.array(momentum)[:, 0], [0, 0.1, 0], atol=1e-6)  # (1 - beta_1) * a gradient of norm 1


def test_mean_pooling_reads_all_tokens_alike(classifier, tokenized):
    outputs = np.array(classifier.backbone({"token_ids": tokenized.token_ids, "padding_mask": tokenized.padding_mask}))
    mask = tokenized.padding_mask[..., None]
    mean = (outputs * mask).sum(axis=1) / mask.sum(axis=1)
    pooled = with_mean_pooling(classifier.backbone)
    found = np.array(pooled({"token_ids": tokenized.token_ids, "padding_mask": tokenized.padding_mask}))[:, 0]
    expected = outputs[:, 0] + 16.0 * mean
    expected -= expected.mean(axis=1, keepdims=True)
    expected /= expected.std(axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_linear_head_is_exact(classifier, tokenized):
    wide = build_classifier(classifier.backbone, 3, hidden_dim=linear_head_width(classifier.backbone))
    wide.preprocessor = classifier.preprocessor
    network, rows = small_network(wide, tokenized)
    features = Evaluator(network).features(rows)
    kernel = np.random.default_rng(0).normal(size=(features.shape[1], 3)).astype("float32")
    bias = np.array([1.0, 2.0, 3.0], "float32")
    set_linear_head(wide, kernel, bias)
    np.testing.assert_allclose(Evaluator(network).logits(rows), features @ kernel + bias, atol=1e-4)


def test_a_new_head_of_a_preset_is_a_logistic_regression_before_any_step(tiny_preset, texts):
    data = TrainingData.prepare(texts, validation_fraction=0.0)
    classifier = from_preset(str(tiny_preset), data, TrainingSettings(sequence_length=12, pooling="mean"))
    assert classifier.backbone.num_layers == 2 + 1
    network, rows = small_network(classifier, tokenize(classifier.preprocessor, texts.texts))
    evaluator = Evaluator(network)
    expected = LogisticRegression(C=1.0, tol=1e-8, max_iter=5000).fit(evaluator.features(rows), texts.labels)
    assert expected.score(evaluator.features(rows), texts.labels) > 0.8
    assert tuple(expected.classes_) == data.labels
    probabilities = expected.predict_proba(evaluator.features(rows))
    np.testing.assert_allclose(softmax(evaluator.logits(rows)), probabilities, atol=2e-3)


def test_balanced_weights_pull_the_border_towards_the_frequent_class():
    features = np.concatenate([np.full((95, 1), -1.0), np.full((5, 1), 1.0)]).astype("float32")
    classes = np.array([0] * 95 + [1] * 5)
    borders = []
    for kind in ("none", "balanced"):
        kernel, bias = fit_linear_head(features, np.eye(2, dtype="float32")[classes], class_weights(classes, kind))
        borders.append(float((bias[0] - bias[1]) / (kernel[0, 1] - kernel[0, 0])))
    assert borders[1] < borders[0]
    assert class_weights(classes, "balanced").mean() == pytest.approx(1.0)
