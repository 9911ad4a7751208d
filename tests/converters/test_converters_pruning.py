"""Pruning keeps the pieces that texts need, and changes nothing for a text whose pieces were kept."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgedistil_converters.model.keras_token_ids import token_id_rows
from edgedistil_converters.preparation.pieces import choose_pieces, texts_with_piece
from edgedistil_converters.preparation.pruning import PruningReport, prune_classifier
from edgedistil_converters.verification.keras_answers import answer_with_keras
from edgedistil_converters.verification.texts import VERIFICATION_TEXTS
from edgedistil_runtime.errors import ConversionError, DataError

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
SAME_ARITHMETIC = 1e-6  # of a probability: the same float32 operations on the same numbers
TEXTS = ("turn on the light", "play music in Paris!", "lights off", "東京 is fine", "")


def choose(vocabulary, counts, **options):
    """The kept pieces, by a map from piece to the number of texts with it."""
    choice = choose_pieces(
        vocabulary, np.array([counts.get(piece, 0) for piece in vocabulary]), special_tokens=SPECIAL, **options
    )
    return [vocabulary[i] for i in choice.kept]


# The classifier


@pytest.fixture(scope="module")
def pruned(classifier):
    return prune_classifier(classifier, TEXTS)


def test_the_pruned_vocabulary_has_what_the_texts_need(classifier, pruned, vocabulary):
    kept = pruned.classifier.preprocessor.tokenizer.get_vocabulary()
    assert kept == [vocabulary[i] for i in pruned.kept]
    assert set(SPECIAL) <= set(kept)
    assert {"turn", "on", "the", "light", "play", "music", "##s", "off"} <= set(kept)
    assert {p for p in vocabulary if len(p.removeprefix("##")) == 1} <= set(kept)
    assert not {"straße", "##ing", "京都", "a b", "[X]", "##er"} & set(kept)
    assert len(kept) == pruned.classifier.backbone.vocabulary_size < len(vocabulary)
    np.testing.assert_array_equal(
        pruned.classifier.backbone.token_embedding.embeddings.numpy(),
        classifier.backbone.token_embedding.embeddings.numpy()[pruned.kept],
    )


def test_texts_with_kept_pieces_have_the_same_ids_and_probabilities(classifier, pruned):
    texts = [*TEXTS, "lights on the light", "abc. é 東!", "turn turn on\0ing", "xyz \ud800 turn"]
    before, after = answer_with_keras(classifier, texts), answer_with_keras(pruned.classifier, texts)
    for old, new in zip(before, after, strict=True):
        assert pruned.kept[list(new.token_ids)].tolist() == list(old.token_ids)
        np.testing.assert_allclose(new.probabilities, old.probabilities, rtol=0, atol=SAME_ARITHMETIC)
    assert len({old.probabilities for old in before}) > 5


def test_words_of_dropped_pieces_fall_apart_into_characters(pruned, vocabulary):
    [row] = token_id_rows(pruned.classifier.preprocessor, ["turning"])
    kept = pruned.classifier.preprocessor.tokenizer.get_vocabulary()
    assert [kept[i] for i in row[:6]] == ["[CLS]", "turn", "##i", "##n", "##g", "[SEP]"]
    assert "##ing" in vocabulary


def test_the_report_tells_what_changed(classifier, vocabulary):
    # "turn" and "the" are in two of the texts; "on" in one; "o" and its letters are single characters.
    report = prune_classifier(classifier, ["turn the o", "turn the x", "on"]).report
    assert report == PruningReport(
        vocabulary_before=len(vocabulary),
        vocabulary_after=report.vocabulary_after,
        texts=3,
        unchanged=1.0,
        unchanged_unseen=2 / 3,
        unknown_before=1 / 7,
        unknown_after=1 / 7,
        label_agreement=1.0,
    )
    assert report.to_dict()["unchanged_unseen"] == report.unchanged_unseen
    assert all(type(value) in (int, float) for value in report.to_dict().values())


def smallest_size(classifier, texts):
    with pytest.raises(ConversionError) as error:
        prune_classifier(classifier, texts, vocabulary_size=0)
    return int(str(error.value).split(" pieces, ")[0].split(" ")[-1])


def test_the_report_under_a_size_is_what_keras_says(classifier):
    texts = ["turn the light", "turn off", "turn it on", "play music", "straße in Paris", "light!", *VERIFICATION_TEXTS]
    size = smallest_size(classifier, texts) + 1
    pruned = prune_classifier(classifier, texts, vocabulary_size=size)
    report = pruned.report
    assert report.vocabulary_after == size == pruned.classifier.backbone.vocabulary_size
    before, after = answer_with_keras(classifier, texts), answer_with_keras(pruned.classifier, texts)
    same_ids = [
        pruned.kept[list(new.token_ids)].tolist() == list(old.token_ids) for old, new in zip(before, after, strict=True)
    ]
    same_labels = [
        np.argmax(old.probabilities) == np.argmax(new.probabilities) for old, new in zip(before, after, strict=True)
    ]
    assert 0 < report.unchanged == np.mean(same_ids) < 1
    assert report.label_agreement == pytest.approx(np.mean(same_labels))
    assert np.mean(same_labels) < 1
    assert report.unchanged_unseen <= report.unchanged


def test_of_many_changed_texts_some_are_classified(classifier, monkeypatch):
    monkeypatch.setattr("edgedistil_converters.preparation.pruning._TEXTS_TO_CLASSIFY", 3)
    classified = []

    def answer(model, texts):
        classified.append(list(texts))
        return answer_with_keras(model, texts)

    monkeypatch.setattr("edgedistil_converters.preparation.pruning.answer_with_keras", answer)
    texts = ["lights", *(f"turning {letter}" for letter in "abcdefghi")]
    pruned = prune_classifier(classifier, texts, vocabulary_size=smallest_size(classifier, texts))
    assert pruned.report.unchanged == 0
    assert [len(some) for some in classified] == [3, 3]
    assert classified[0] == classified[1]
    assert {classified[0][0], classified[0][-1]} <= set(texts)


def test_the_given_classifier_is_not_changed(make_classifier):
    classifier = make_classifier()
    weights, config = classifier.get_weights(), classifier.backbone.get_config()
    words = list(classifier.preprocessor.tokenizer.get_vocabulary())
    pruned = prune_classifier(classifier, TEXTS)
    for variable in pruned.classifier.weights:
        variable.assign(0 * variable)
    assert classifier.preprocessor.tokenizer.get_vocabulary() == words
    assert classifier.backbone.get_config() == config
    for before, after in zip(weights, classifier.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_a_size_beyond_the_vocabulary_keeps_everything(classifier, vocabulary):
    pruned = prune_classifier(classifier, TEXTS, vocabulary_size=10_000)
    assert pruned.kept.tolist() == list(range(len(vocabulary)))
    assert (pruned.report.vocabulary_before, pruned.report.vocabulary_after) == (len(vocabulary), len(vocabulary))
    assert (pruned.report.unchanged, pruned.report.unchanged_unseen) == (1, 1)


@pytest.mark.parametrize(
    "options",
    [
        {"activation": "softmax"},
        {"hidden_dim": 24, "num_layers": 1},
        {"num_classes": 1, "activation": "sigmoid"},
    ],
    ids=str,
)
def test_every_kind_of_head_is_copied(make_classifier, options):
    classifier = make_classifier(**options)
    pruned = prune_classifier(classifier, [*TEXTS, "straßeing"], vocabulary_size=80)
    assert pruned.classifier.activation is classifier.activation
    before, after = answer_with_keras(classifier, TEXTS), answer_with_keras(pruned.classifier, TEXTS)
    for old, new in zip(before, after, strict=True):
        if pruned.kept[list(new.token_ids)].tolist() == list(old.token_ids):
            np.testing.assert_allclose(new.probabilities, old.probabilities, rtol=0, atol=SAME_ARITHMETIC)


@pytest.fixture(scope="module")
def make_with_options(make_classifier, make_preprocessor):
    """The tiny classifier with another tokenizer; its table has more rows than the vocabulary pieces."""

    def make(vocabulary, **options):
        classifier = make_classifier(num_layers=1)
        classifier.preprocessor = make_preprocessor(vocabulary, **options)
        return classifier

    return make


@pytest.mark.parametrize(
    ("options", "texts"),
    [
        ({"lowercase": False, "strip_accents": True}, ["Paris NASA turn", "Élan straße"]),
        ({"split_on_cjk": False}, ["東京 京都が", "turn"]),
        ({"special_tokens_in_strings": True}, ["turn [SEP] on [MASK]", "[PAD] off"]),
        ({"suffix_indicator": "s"}, ["turns on", "sss turn"]),
        ({"split": False}, ["turn", "lights", "turn on"]),
        ({"sequence_length": 4}, ["turn on the light", "play music off"]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_every_option_of_the_tokenizer_is_kept(make_with_options, vocabulary, options, texts):
    from edgedistil_converters.tokenizer.settings import read_tokenizer

    classifier = make_with_options(list(vocabulary), **options)
    pruned = prune_classifier(classifier, texts)
    assert pruned.report.unchanged == 1
    before, _ = read_tokenizer(classifier.preprocessor)
    after, _ = read_tokenizer(pruned.classifier.preprocessor)
    sized = ("vocabulary_size", "vocabulary_sha256", "start_id", "end_id", "pad_id", "unknown_id", "special_tokens")
    same = vars(before).keys() - set(sized)
    assert {name: vars(after)[name] for name in same} == {name: vars(before)[name] for name in same}
    assert set(after.special_tokens) == set(before.special_tokens)
    for name in ("start_id", "end_id", "pad_id", "unknown_id"):
        assert pruned.kept[getattr(after, name)] == getattr(before, name)


def test_kerashubs_graph_path_agrees(classifier, pruned, keras_ids):
    """The one of `fit` and `predict`; ids are otherwise compared by the path in Python."""
    rows = keras_ids(pruned.classifier.preprocessor, TEXTS)
    assert [pruned.kept[row].tolist() for row in rows] == keras_ids(classifier.preprocessor, TEXTS)


def test_own_special_tokens_and_a_foreign_unknown_token_stay(make_with_options):
    vocabulary = ["<unk>", *SPECIAL, "<x>", "turn", "on", "t"]
    options = {"oov_token": "<unk>", "special_tokens": ["<x>"], "special_tokens_in_strings": True}
    pruned = prune_classifier(make_with_options(vocabulary, **options), ["t on"])
    tokenizer = pruned.classifier.preprocessor.tokenizer
    assert tokenizer.get_vocabulary() == ["<unk>", *SPECIAL, "<x>", "on", "t"]
    assert np.asarray(tokenizer("<x> on q")).tolist() == [6, 7, 0]


def test_a_word_that_was_a_dead_end_can_become_readable(make_with_options):
    """Greedy matching takes "ab", finds no "##c", and gives up; without "ab" it goes on as "a", "##bc"."""
    pruned = prune_classifier(make_with_options([*SPECIAL, "ab", "a", "##bc", "x"]), ["abc", "x", "##bc"])
    assert "##bc" not in pruned.classifier.preprocessor.tokenizer.get_vocabulary()
    other = make_with_options([*SPECIAL, "ab", "a", "##bc", "x", "##x"])
    pruned = prune_classifier(other, ["abc", "xbc"])
    assert pruned.report.unchanged == 0.5
    assert (pruned.report.unknown_before, pruned.report.unknown_after) == (1 / 3, 0)


def test_half_precision_is_kept(vocabulary, make_preprocessor):
    import keras_hub

    backbone = keras_hub.models.DistilBertBackbone(
        len(vocabulary) + 7, 1, 2, 8, 16, max_sequence_length=32, dtype="bfloat16"
    )
    classifier = keras_hub.models.DistilBertTextClassifier(backbone, 2, make_preprocessor(list(vocabulary)))
    pruned = prune_classifier(classifier, TEXTS)
    table = pruned.classifier.backbone.token_embedding.embeddings
    assert table.dtype == "bfloat16"
    assert table.shape[0] == len(pruned.kept)  # rows beyond the vocabulary are gone too
    before, after = answer_with_keras(classifier, TEXTS), answer_with_keras(pruned.classifier, TEXTS)
    assert [old.probabilities for old in before] == [new.probabilities for new in after]


def test_the_pruned_classifier_converts_and_is_verified(pruned, classifier, labels, vocabulary, tmp_path):
    from edgedistil_converters import QuantizationPlan, convert_classifier
    from edgedistil_runtime import TextClassifier

    plan, path = QuantizationPlan("int8"), tmp_path / "pruned.tflite"
    conversion = convert_classifier(pruned.classifier, labels, path, plan=plan, verification_texts=TEXTS)
    small = conversion.artifact
    assert list(small.vocabulary) == pruned.classifier.preprocessor.tokenizer.get_vocabulary()
    assert small.metadata.tokenizer.vocabulary_size == len(pruned.kept) < len(vocabulary)
    assert small.metadata.model["vocabulary_size"] == len(pruned.kept)
    assert conversion.parity.texts > len(VERIFICATION_TEXTS)
    with TextClassifier(small.path) as candidate:
        for old in answer_with_keras(classifier, TEXTS):
            assert pruned.kept[candidate.tokenize(old.text)].tolist() == list(old.token_ids)
            found = list(candidate.classify(old.text).probabilities.values())
            np.testing.assert_allclose(found, old.probabilities, rtol=0, atol=0.06)


@settings(max_examples=15, deadline=None)
@given(texts=st.lists(st.text("turnolighs ing!é東京1", max_size=20), min_size=1, max_size=6))
def test_any_texts_keep_their_ids(texts, make_preprocessor, vocabulary):
    """The choice alone, without a classifier: characters all have both forms here, so there are no dead ends."""
    letters = sorted({c for piece in vocabulary if piece not in SPECIAL for c in unicodedata.normalize("NFKC", piece)})
    full = list(dict.fromkeys([*vocabulary, *letters, *(f"##{letter}" for letter in letters)]))
    rows = token_id_rows(make_preprocessor(full), texts)
    choice = choose_pieces(full, texts_with_piece(rows, len(full)), special_tokens=SPECIAL)
    again = token_id_rows(make_preprocessor([full[i] for i in choice.kept]), texts)
    np.testing.assert_array_equal(choice.kept[again], rows)
    others = {i for row in rows[1:] for i in row}
    if len(texts) > 1 and set(rows[0]) <= others:
        assert choice.is_lasting[rows[0]].all()


# What is refused


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([], "Received: 0 texts"),
        ("turn on", "list of strings.*'turn on'"),
        (b"turn on", "list of strings"),
        (["turn", None], "list of strings.*None"),
        ([1.5], "list of strings.*1.5"),
    ],
    ids=str,
)
def test_texts_must_be_strings(classifier, texts, message):
    with pytest.raises(DataError, match=message):
        prune_classifier(classifier, texts)


def test_texts_may_come_from_a_generator(classifier):
    assert prune_classifier(classifier, (text for text in TEXTS)).report.texts == len(TEXTS)


def test_a_classifier_without_preprocessor_is_refused(make_classifier):
    classifier = make_classifier(num_layers=1)
    classifier.preprocessor = None
    with pytest.raises(ConversionError, match="needs its preprocessor"):
        prune_classifier(classifier, TEXTS)


def test_a_vocabulary_larger_than_the_table_is_refused(make_with_options, vocabulary):
    classifier = make_with_options([*vocabulary, "one", "more"])
    with pytest.raises(
        ConversionError, match=f"{len(vocabulary) + 2} pieces and the embedding table {len(vocabulary)}"
    ):
        prune_classifier(classifier, TEXTS)


def test_another_backbone_is_refused(classifier):
    class Stranger:
        preprocessor, backbone = classifier.preprocessor, object()

    with pytest.raises(ConversionError, match="backbone of type object"):
        prune_classifier(Stranger(), TEXTS)


def test_a_classifier_with_adapters_is_refused_and_can_be_merged(make_classifier, tmp_path):
    import keras_hub

    classifier = make_classifier(num_layers=1)
    classifier.backbone.enable_lora(2)
    with pytest.raises(ConversionError, match="adapters"):
        prune_classifier(classifier, TEXTS)
    classifier.save_to_preset(str(tmp_path / "merged"))
    merged = keras_hub.models.DistilBertTextClassifier.from_preset(str(tmp_path / "merged"))
    assert prune_classifier(merged, TEXTS).report.unchanged == 1


@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize`")
def test_a_quantized_classifier_is_refused(make_classifier):
    classifier = make_classifier(num_layers=1)
    classifier.backbone.quantize("int8")
    with pytest.raises(ConversionError, match="quantized"):
        prune_classifier(classifier, TEXTS)
