"""The edge graph computes what the Keras classifier computes; embedding tables round as they say."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgedistil_converters.graph.classifier import EdgeGraph
from edgedistil_converters.graph.embeddings import FloatTable, Int4Table, Int8Table, embedding_table
from edgedistil_converters.model.keras_hub import read_output_activation, read_weights
from edgedistil_runtime.errors import ConversionError

FLOAT_TOLERANCE = 1e-5  # of a probability: float32 sums in another order
SEQUENCE_LENGTH = 24
PAD = 0


def edge_graph(classifier):
    weights = read_weights(classifier)
    return EdgeGraph(
        weights,
        tokens=embedding_table(weights.token_embeddings, "float32"),
        positions=embedding_table(weights.position_embeddings[:SEQUENCE_LENGTH], "float32"),
    )


def keras_probabilities(classifier, rows, width=SEQUENCE_LENGTH):
    """What Keras gives for rows of token ids, padded and masked as its preprocessor does it."""
    token_ids = np.full((len(rows), width), PAD, np.int32)
    for i, row in enumerate(rows):
        token_ids[i, : len(row)] = row
    outputs = np.asarray(classifier({"token_ids": token_ids, "padding_mask": token_ids != PAD}, training=False))
    if classifier.activation.__name__ != "linear":
        return outputs
    exponentials = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def random_rows(classifier, lengths, seed=0):
    generator = np.random.default_rng(seed)
    size = classifier.backbone.vocabulary_size
    return [generator.integers(PAD + 1, size, n).astype(np.int32) for n in lengths]


def single(graph, row):
    return graph.classify(np.asarray(row, np.int32)[None]).numpy()[0]


def test_the_classifier_is_sharp_enough_to_tell_texts_apart(classifier):
    """Else closeness to its probabilities would prove nothing."""
    found = keras_probabilities(classifier, random_rows(classifier, [8] * 50))
    assert (found.std(axis=0) > 0.1).all()
    assert set(found.argmax(axis=1)) == {0, 1, 2}


def test_every_length_gives_the_probabilities_of_keras(classifier):
    rows = random_rows(classifier, range(1, SEQUENCE_LENGTH + 1))
    graph = edge_graph(classifier)
    found = np.array([single(graph, row) for row in rows])
    np.testing.assert_allclose(found, keras_probabilities(classifier, rows), rtol=0, atol=FLOAT_TOLERANCE)


@pytest.mark.parametrize(
    "options",
    [
        {"num_layers": 1},
        {"num_layers": 3, "activation": "softmax"},
        {"activation": "softmax"},
        {"activation": "sigmoid"},
        {"hidden_dim": 24},
        {"num_classes": 1, "activation": "sigmoid"},
        {"num_classes": 7, "hidden_dim": 5},
    ],
    ids=str,
)
def test_every_kind_of_head_and_depth(make_classifier, options):
    classifier = make_classifier(**options)
    rows = random_rows(classifier, [1, 2, 5, 13, SEQUENCE_LENGTH])
    expected = keras_probabilities(classifier, rows)
    assert expected.std(axis=0).max() > 0.02
    graph = edge_graph(classifier)
    found = np.array([single(graph, row) for row in rows])
    assert found.shape == (5, options.get("num_classes", 3))
    np.testing.assert_allclose(found, expected, rtol=0, atol=FLOAT_TOLERANCE)
    batch = np.array([np.pad(row, (0, SEQUENCE_LENGTH - len(row))) for row in rows])
    np.testing.assert_allclose(graph.classify_batch(batch, PAD).numpy(), expected, rtol=0, atol=FLOAT_TOLERANCE)


@pytest.mark.parametrize("lengths", [[5], [5, 5, 5], [1, SEQUENCE_LENGTH], [3, 9, 1, 7]])
@pytest.mark.parametrize("padding", [0, 4])
def test_a_batch_gives_the_rows_of_single_runs(classifier, lengths, padding):
    graph = edge_graph(classifier)
    rows = random_rows(classifier, lengths, seed=3)
    width = min(max(lengths) + padding, SEQUENCE_LENGTH)
    batch = np.array([np.pad(row, (0, width - len(row))) for row in rows])
    expected = [single(graph, row) for row in rows]
    np.testing.assert_allclose(graph.classify_batch(batch, PAD).numpy(), expected, rtol=0, atol=FLOAT_TOLERANCE)


def test_padding_inside_a_row_is_masked_as_keras_masks_it(classifier):
    [row] = random_rows(classifier, [9])
    row[[2, 5]] = PAD
    found = edge_graph(classifier).classify_batch(row[None], PAD).numpy()
    np.testing.assert_allclose(found, keras_probabilities(classifier, [row], width=9), rtol=0, atol=FLOAT_TOLERANCE)
    assert np.abs(found[0] - single(edge_graph(classifier), row)).max() > 100 * FLOAT_TOLERANCE


def test_every_array_is_read(classifier):
    """A weight that the graph forgot would change nothing when it changes."""
    weights = read_weights(classifier)
    [row] = random_rows(classifier, [7])
    before = single(edge_graph(classifier), row)
    for path, changed in one_changed_array_each(weights):
        graph = EdgeGraph(
            changed, FloatTable(changed.token_embeddings), FloatTable(changed.position_embeddings[:SEQUENCE_LENGTH])
        )
        assert np.abs(single(graph, row) - before).max() > FLOAT_TOLERANCE, path


def one_changed_array_each(weights):
    noise = np.random.default_rng(1)

    def changes(value, path):
        if isinstance(value, np.ndarray):
            yield path, (value + noise.normal(0, 0.5, value.shape)).astype(np.float32)
        elif isinstance(value, tuple):
            for i, item in enumerate(value):
                yield from ((p, (*value[:i], new, *value[i + 1 :])) for p, new in changes(item, f"{path}[{i}]"))
        elif dataclasses.is_dataclass(value):
            for field in dataclasses.fields(value):
                inner = changes(getattr(value, field.name), f"{path}.{field.name}")
                # The bias of the keys adds the same to all scores of a query, which softmax does not see.
                yield from (
                    (p, dataclasses.replace(value, **{field.name: new}))
                    for p, new in inner
                    if not p.endswith("key.bias")
                )

    return list(changes(weights, "weights"))


def test_the_summary_counts_what_keras_counts(make_classifier):
    classifier = make_classifier(hidden_dim=24, num_classes=5)
    assert read_weights(classifier).summary() == {
        "num_layers": 2,
        "num_heads": 2,
        "hidden_dim": 16,
        "intermediate_dim": 48,
        "vocabulary_size": classifier.backbone.vocabulary_size,
        "max_sequence_length": 32,
        "num_classes": 5,
        "parameters": classifier.count_params(),
    }


@pytest.mark.parametrize("activation", ["relu", "tanh", "log_softmax"])
def test_outputs_that_are_no_probabilities_are_refused(make_classifier, activation):
    classifier = make_classifier(activation=activation)
    with pytest.raises(ConversionError, match=f"Received: activation='{activation}'"):
        read_weights(classifier)


@pytest.mark.parametrize(
    ("activation", "name"), [(None, "logits"), ("linear", "logits"), ("softmax", "softmax"), ("sigmoid", "sigmoid")]
)
def test_output_activations(make_classifier, activation, name):
    assert read_output_activation(make_classifier(activation=activation)) == name


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 7, -1])
def test_weights_that_are_not_finite_are_refused(make_classifier, place, value):
    classifier = make_classifier()
    variable = classifier.weights[place]
    array = variable.numpy()
    array.flat[-1] = value
    variable.assign(array)
    with pytest.raises(ConversionError, match="not finite") as caught:
        read_weights(classifier)
    assert variable.path in str(caught.value)


def test_another_backbone_is_refused(vocabulary):
    import keras_hub

    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=len(vocabulary), num_layers=1, num_heads=2, hidden_dim=16, intermediate_dim=32
    )
    with pytest.raises(ConversionError, match="Received a backbone of type BertBackbone"):
        read_weights(keras_hub.models.BertTextClassifier(backbone, num_classes=2))


FINITE = st.floats(-1e4, 1e4, width=32)


@settings(derandomize=True, deadline=None, database=None, max_examples=200)
@given(st.lists(st.lists(FINITE, min_size=3, max_size=3), min_size=1, max_size=5))
def test_int8_rows_are_within_half_a_scale(rows):
    values = np.array(rows, np.float32)
    table = embedding_table(values, "int8")
    assert isinstance(table, Int8Table)
    assert (table.values.dtype, table.scales.dtype, table.scales.shape) == (np.int8, np.float32, (len(rows), 1))
    assert int(table.values.min()) >= -127
    error = np.abs(values.astype(np.float64) - table.values.astype(np.float64) * table.scales)
    assert (error <= table.scales * 0.5 * (1 + 1e-5)).all()
    # As fine as int8 can be: the largest value of a row is at the end of the range.
    used = np.abs(values).max(axis=1) > 1e-30
    assert (np.abs(table.values[used].astype(int)).max(axis=1) == 127).all()


def test_a_row_of_zeros_stays_zeros():
    table = embedding_table(np.array([[0, 0], [1, -2]], np.float32), "int8")
    assert table.values.tolist() == [[0, 0], [64, -127]]
    assert np.isfinite(table.scales).all()
    assert table.rows(np.array([0])).numpy().tolist() == [[0, 0]]


# dtype -> half a step, in units of a row's largest value.
HALF_STEP = {"float32": 0, "float16": 0, "int8": 0.5 / 127, "int4": 0.5 / 7}


@pytest.mark.parametrize("dtype", HALF_STEP)
def test_tables_look_up_rows(dtype):
    values = np.random.default_rng(0).uniform(0.5, 1, size=(6, 4)).astype(np.float32)
    table = embedding_table(values, dtype)
    error = HALF_STEP[dtype] * 1.01
    np.testing.assert_allclose(table.rows(np.array([5, 0, 5])).numpy(), values[[5, 0, 5]], rtol=0, atol=error)
    np.testing.assert_allclose(table.first_rows(3).numpy(), values[:3], rtol=0, atol=error)


def unpacked(table):
    """The weights of an `Int4Table` in float64, from its bytes and with integers alone."""
    packed = table.packed.astype(int)
    steps = np.concatenate([packed >> 4, (packed & 15) - 8], axis=1)
    scales = table.multiples * table.scales.astype(np.float64)
    return steps, np.repeat(scales, table.width // table.multiples.shape[1], axis=1)


@st.composite
def tables(draw):
    """Rows of every size of number, some of zeros, some of one large value among small ones."""
    shape = draw(st.tuples(st.integers(1, 5), st.sampled_from([2, 6, 16, 26, 32, 34, 40, 64, 74, 96, 312])))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = generator.normal(size=shape) * 10.0 ** generator.integers(-3, 1, size=shape)
    exponents = draw(st.lists(st.sampled_from([-50, -38, -20, -3, 0, 5, 30, 37]), min_size=shape[0], max_size=shape[0]))
    values = values * 10.0 ** np.array(exponents)[:, None]
    values[generator.random(shape) < draw(st.sampled_from([0, 0.5, 1]))] = 0
    return values.astype(np.float32)


PROPERTY = settings(derandomize=True, deadline=None, database=None, max_examples=150)


@PROPERTY
@given(tables())
def test_int4_blocks_are_as_near_as_a_scale_that_cuts_nothing_allows(values):
    table = embedding_table(values, "int4")
    assert isinstance(table, Int4Table)
    assert (table.packed.shape, table.scales.shape) == ((len(values), values.shape[1] // 2), (len(values), 1))
    assert (table.packed.dtype, table.multiples.dtype, table.scales.dtype) == (np.int8, np.int8, np.float32)
    steps, scales = unpacked(table)
    assert (steps.min() >= -8) & (steps.max() <= 7)
    assert (table.multiples != 0).all()
    assert (table.multiples >= -127).all()

    blocks = values.astype(np.float64).reshape(*table.multiples.shape, -1)
    error = np.square(blocks - (steps * scales).reshape(blocks.shape)).sum(2)
    row_scales = table.scales[:, :, None].astype(np.float64)
    whole = np.maximum(np.ceil(np.abs(blocks).max(2, keepdims=True) / row_scales / 7 * (1 - 1e-6)), 1) * row_scales
    uncut = np.square(blocks - np.rint(blocks / whole) * whole).sum(2)
    assert (np.abs(np.rint(blocks / whole)) <= 7).all()
    assert (error <= uncut * (1 + 1e-3) + 1e-300).all()
    # Half a step of a block without cutting, whose scale was rounded up to one of 127 of its row's.
    half = 0.5 * (np.abs(blocks).max(2) / 7 + row_scales[:, :, 0])
    assert (error <= blocks.shape[2] * half**2 * (1 + 1e-3)).all()


@PROPERTY
@given(tables())
def test_the_graph_unpacks_int4_as_integers_do(values):
    table = embedding_table(values, "int4")
    steps, scales = unpacked(table)
    due = (steps * scales).astype(np.float32)
    ids = np.array([len(values) - 1, 0, 0])
    tiny = np.finfo(np.float32).tiny  # TensorFlow may flush smaller numbers to 0
    np.testing.assert_allclose(table.rows(ids).numpy(), due[ids], rtol=1e-6, atol=tiny)
    np.testing.assert_allclose(table.first_rows(len(values)).numpy(), due, rtol=1e-6, atol=tiny)
    np.testing.assert_allclose(table.first_rows(1).numpy(), due[:1], rtol=1e-6, atol=tiny)


def test_numbers_that_int4_holds_exactly_come_back():
    exact = np.arange(-7, 9, dtype=np.float32).repeat(2)[None] % 8 * np.float32(0.25)
    rows = np.concatenate([exact, -exact, 127 * exact, 0 * exact])
    np.testing.assert_allclose(embedding_table(rows, "int4").first_rows(4).numpy(), rows, rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    ("width", "block"),
    [
        (2, 2),
        (6, 6),
        (16, 16),
        (24, 24),
        (32, 32),
        (34, 17),
        (38, 19),
        (58, 29),
        (62, 31),
        (74, 74),
        (40, 20),
        (48, 24),
        (96, 32),
        (312, 26),
    ],
)
def test_the_size_of_int4_blocks(width, block):
    table = embedding_table(np.ones((3, width), np.float32), "int4")
    assert table.multiples.shape == (3, width // block)
    assert sum(part.nbytes for part in (table.packed, table.multiples, table.scales)) == 3 * (
        width // 2 + width // block + 4
    )


def test_int4_is_finer_than_steps_of_one_scale_a_block():
    """Negative multiples and cut ranges lower the error of normally distributed weights by more than a tenth."""
    values = np.random.default_rng(5).normal(size=(100, 256)).astype(np.float32)
    blocks = values.reshape(100, 8, 32)
    scales = np.abs(blocks).max(2, keepdims=True) / 7
    plain = np.square(blocks - np.rint(blocks / scales) * scales).sum()
    found = embedding_table(values, "int4").first_rows(100).numpy()
    assert np.square(values - found).sum() < 0.8 * plain


def test_tables_of_more_rows_than_are_packed_at_once(monkeypatch):
    values = np.random.default_rng(0).normal(size=(10, 32)).astype(np.float32)
    whole = embedding_table(values, "int4")
    monkeypatch.setattr("edgedistil_converters.graph.embeddings._ROWS_AT_ONCE", 4)
    parts = embedding_table(values, "int4")
    for name in ("packed", "multiples", "scales"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))


@pytest.mark.parametrize("width", [1, 15, 33])
def test_int4_rows_of_an_odd_width_are_refused(width):
    with pytest.raises(ConversionError, match=f"even width. Received: hidden_dim={width}. Use the scheme int8"):
        embedding_table(np.ones((2, width), np.float32), "int4")
    assert embedding_table(np.ones((2, width), np.float32), "int8").first_rows(2).shape == (2, width)
