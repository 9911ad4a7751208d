"""The builder returns KerasHub's classifier, and all that KerasHub promises of it works."""

import keras
import keras_hub
import numpy as np
import pytest

from edgedistil.builder import (
    SIZES,
    SPECIAL_TOKENS,
    BackboneSize,
    build_backbone,
    build_classifier,
    build_preprocessor,
    learn_vocabulary,
    read_vocabulary,
)
from edgedistil_runtime.errors import DataError, PresetError

TEXTS = ["turn the lights on", "play some music"]


# Keras remarks, on every fit, that it does not shuffle the data set that KerasHub makes of the strings.
fits_strings = pytest.mark.filterwarnings("ignore:`shuffle=True` was passed:UserWarning")


def trained_weights(classifier):
    return [np.array(weight) for weight in classifier.backbone.trainable_variables]


@pytest.mark.parametrize(
    ("name", "layers", "width", "heads", "inner"),
    [
        ("tiny", 2, 128, 2, 512),
        ("mini", 4, 256, 4, 1024),
        ("small", 4, 512, 8, 2048),
        ("medium", 8, 512, 8, 2048),
        ("base", 6, 768, 12, 3072),
    ],
)
def test_sizes_of_the_bert_miniatures(name, layers, width, heads, inner):
    assert SIZES[name] == BackboneSize(layers, width, heads, inner)


def test_base_is_distil_bert():
    size = SIZES["base"]
    word_pieces, positions, width, inner = 30_522, 512, size.hidden_dim, size.intermediate_dim
    layer = 4 * (width * width + width) + 2 * width * inner + inner + width + 4 * width
    expected = (word_pieces + positions + 2) * width + size.num_layers * layer
    assert expected == 66_362_880


def test_explicit_numbers_replace_those_of_a_size():
    assert SIZES["tiny"].with_numbers(num_layers=1) == BackboneSize(1, 128, 2, 512)
    assert SIZES["tiny"].with_numbers(hidden_dim=256) == BackboneSize(2, 256, 4, 1024)
    assert SIZES["tiny"].with_numbers(hidden_dim=32, intermediate_dim=48) == BackboneSize(2, 32, 1, 48)


@pytest.mark.parametrize("numbers", [{"hidden_dim": 100}, {"num_heads": 3}, {"num_layers": 0}, {"hidden_dim": -1}])
def test_illegal_sizes_cannot_be_built(numbers):
    with pytest.raises(PresetError, match="Received"):
        SIZES["tiny"].with_numbers(**numbers)


def test_unknown_size_names_the_legal_ones():
    with pytest.raises(PresetError, match=r"tiny, mini, small, medium, base.*'huge'"):
        build_backbone("huge", vocabulary_size=10)


def test_it_is_keras_hubs_class_with_all_its_arguments(tiny_classifier):
    classifier = build_classifier(tiny_classifier.backbone, 5, activation="softmax", hidden_dim=7, dropout=0.3)
    assert type(classifier) is keras_hub.models.DistilBertTextClassifier
    assert classifier.preprocessor is None
    assert classifier.pooled_dense.units == 7
    assert classifier.output_dropout.rate == 0.3
    inputs = {"token_ids": np.ones((2, 6), "int32"), "padding_mask": np.ones((2, 6), "int32")}
    assert np.asarray(classifier(inputs)).sum(axis=1) == pytest.approx([1, 1], abs=1e-6)


def test_raw_strings_and_preprocessed_integers_give_the_same(make_tiny_classifier):
    classifier = make_tiny_classifier()
    from_strings = classifier.predict(TEXTS, verbose=0)
    integers = classifier.preprocessor(TEXTS)
    classifier.preprocessor = None
    np.testing.assert_array_equal(classifier.predict(integers, verbose=0), from_strings)


@fits_strings
def test_frozen_backbone_stays_as_it_is(make_tiny_classifier):
    classifier = make_tiny_classifier()
    before = trained_weights(classifier)
    head = np.array(classifier.output_dense.kernel)
    classifier.backbone.trainable = False
    classifier.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), optimizer=keras.optimizers.Adam(0.01)
    )
    classifier.fit(x=TEXTS, y=np.array([0, 1]), batch_size=2, verbose=0)
    classifier.backbone.trainable = True
    for old, new in zip(before, trained_weights(classifier), strict=True):
        np.testing.assert_array_equal(old, new)
    assert np.abs(np.array(classifier.output_dense.kernel) - head).max() > 0


@fits_strings
def test_compiled_again_with_another_optimizer_and_xla(make_tiny_classifier):
    classifier = make_tiny_classifier()
    classifier.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        optimizer=keras.optimizers.SGD(0.1),
        jit_compile=True,
    )
    before = trained_weights(classifier)
    history = classifier.fit(x=TEXTS, y=np.array([0, 1]), batch_size=2, verbose=0)
    assert np.isfinite(history.history["loss"][0])
    assert any((old != new).any() for old, new in zip(before, trained_weights(classifier), strict=True))


def test_vocabulary_larger_than_the_backbones(tiny_classifier, tiny_vocabulary):
    preprocessor = build_preprocessor([*tiny_vocabulary, "extra"], sequence_length=8)
    with pytest.raises(PresetError, match=f"vocabulary_size={len(tiny_vocabulary) + 1}"):
        build_classifier(tiny_classifier.backbone, 2, preprocessor=preprocessor)


def test_sequence_longer_than_the_backbones_positions(tiny_classifier, tiny_vocabulary):
    preprocessor = build_preprocessor(tiny_vocabulary, sequence_length=17)
    with pytest.raises(PresetError, match=r"at most 16.*Received: 17"):
        build_classifier(tiny_classifier.backbone, 2, preprocessor=preprocessor)


def test_single_class(tiny_classifier):
    with pytest.raises(PresetError, match="at least two classes"):
        build_classifier(tiny_classifier.backbone, 1)


@pytest.mark.parametrize("size", [200, 60])
def test_learned_vocabulary(size):
    texts = ["Größe café turning turned turns", "the turn ☂ the turn", "ein Café"] * 5
    vocabulary = learn_vocabulary(texts, size, lowercase=True)
    assert tuple(vocabulary[:5]) == SPECIAL_TOKENS
    assert len(vocabulary) == len(set(vocabulary)) <= size
    characters = set("".join(texts).casefold()) - {" "}
    assert characters | {f"##{character}" for character in characters} <= set(vocabulary)
    assert vocabulary == learn_vocabulary(texts, size, lowercase=True)
    # No text made of these characters is unknown, not even in words never seen.
    tokenizer = build_preprocessor(vocabulary).tokenizer
    assert 1 not in np.asarray(tokenizer("☂gruß the-xcafé"[:5] + " turnthe café"))


def test_learned_vocabulary_finds_whole_words_and_keeps_case_and_accents_as_told():
    texts = ["Turn off Café"] * 20
    assert {"turn", "off", "café"} <= set(learn_vocabulary(texts, 100))
    assert {"Turn", "off", "Café"} <= set(learn_vocabulary(texts, 100, lowercase=False))
    assert {"turn", "off", "cafe"} <= set(learn_vocabulary(texts, 100, strip_accents=True))


def test_learned_vocabulary_survives_its_file(tmp_path):
    # KerasHub strips white space from the ends of lines, so a no-break space would come back as an empty piece.
    vocabulary = learn_vocabulary(["a\u00a0b\u3000c d"] * 5, 100)
    preprocessor = build_preprocessor(vocabulary)
    preprocessor.save_to_preset(str(tmp_path))
    loaded = read_vocabulary(tmp_path / "assets" / "tokenizer" / "vocabulary.txt")
    assert loaded == vocabulary


def test_too_small_a_vocabulary_says_how_many_it_takes():
    with pytest.raises(DataError, match="at least 57 pieces"):
        learn_vocabulary(["abcdefghijklmnopqrstuvwxyz"], 20)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"[PAD]\n\nx\n", "line 2"), (b"[PAD]\n\xff\n", "UTF-8"), (None, "no vocabulary file")],
)
def test_vocabulary_files_that_cannot_be_used(tmp_path, content, message):
    path = tmp_path / "vocab.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_vocabulary(path)


def test_vocabulary_without_a_special_token_or_with_a_piece_twice():
    with pytest.raises(DataError, match=r"Missing: \[CLS\]"):
        build_preprocessor(["[PAD]", "[UNK]", "[SEP]", "[MASK]", "a"])
    with pytest.raises(DataError, match="more than once: \\['a'\\]"):
        build_preprocessor([*SPECIAL_TOKENS, "a", "a"])
