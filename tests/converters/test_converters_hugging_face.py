"""With Hugging Face's rules, a file gives the token ids of the library `tokenizers` on every text."""

import csv
import dataclasses
import itertools
import json
import random
import unicodedata
from functools import cache

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from .hugging_face import OPTIONS, TOKENS, HuggingFaceFile, added_tokens, special_tokens, vocabulary

FRAGMENTS = (
    *("turn", "on", "Light", "lighting", "playing", "straße", "STRASSE", "Paris", "NASA", "quiz", "café", "CAFÉ"),
    *("é", "e\u0301", "ü", "İ", "ı", "ﬁ", "½", "Ⅷ", "™", "東", "東京", "日本", "가", "각", "が", "か\u3099", "Σς"),
    *(".", "!?", "'", "##s", "##", "@", "-", "—", "“", "…", "‗", "≠", "`", "_", "$", "€"),
    *(" ", "  ", "\t", "\n", "\r\n", "\u00a0", "\u3000", "\u2028", "\u0085", "\u200b", "\u00ad", "\ufe0f", "\x07"),
    *("[SEP]", "[CLS]", "[PAD]", "[UNK]", "[MASK]", "[SEP", "SEP]", "[sep]", "[C\u0301LS]", "[CL\u200bS]", "[[MASK]]"),
    *("xr500", "XR500", "xr5000", "x\u0301r500", "xr50", "ünit-7", "UNIT-7", "unit - 7", "new york", "New\u00a0York"),
    *("new  york", "京東", "京 東", "<e>", "<E>", "<E1>", "<e1>", "foo bar", "foo  bar"),
    *("\u0301", "\u0316", "\u302e", "\U0001d165", "\u0898", "\u0345", "\0", "\ufffd", "\U0010ffff", "\ue000", "𠮷"),
    *("\U0002f800", "👍", "👨‍👩‍👧", "مرحبا", "a", "b", "z", "q", "1", "0"),
)  # fmt: skip
TEXTS = st.text(max_size=40) | st.lists(st.sampled_from(FRAGMENTS), max_size=20).map("".join)
PROPERTY = settings(derandomize=True, deadline=None, database=None, max_examples=60)


@pytest.fixture(scope="module")
def file_of(tmp_path_factory, shared_folder_or_none):
    """`file_of("cased")`, `file_of("tokens")`, `file_of("uncased", "bert-base-uncased")`: each converted once."""

    @cache
    def make(name, real=None):
        words = vocabulary() if real is None else _real_vocabulary(shared_folder_or_none, real)
        special = special_tokens(words)
        if name.startswith("tokens"):
            added = [*special, *added_tokens(len(words))]
            words, options = [*words, *(content for content, _ in TOKENS)], OPTIONS[name.partition("_")[2] or "uncased"]
        else:
            added, options = special, OPTIONS[name]
        length = 64 if real is None else 4000
        path = tmp_path_factory.mktemp("hugging_face") / f"{name}.tflite"
        return HuggingFaceFile(words, added, options, path, sequence_length=length)

    return make


@pytest.fixture(scope="module")
def shared_folder_or_none(request):
    from .conftest import SHARED

    return SHARED if SHARED.is_dir() else None


def _real_vocabulary(folder, name):
    if folder is None:
        pytest.skip("the shared data are not here")
    return (folder / "vocab" / f"{name}.txt").read_bytes().decode().removesuffix("\n").split("\n")


@pytest.mark.parametrize("name", [*OPTIONS, "tokens", "tokens_cased"])
def test_fragments_one_by_one_side_by_side_and_any_text(file_of, name):
    file = file_of(name)
    texts = [*FRAGMENTS, *(f"light{f}s" for f in FRAGMENTS), *(f"{f}{f}" for f in FRAGMENTS)]
    assert file.differences(texts) == []

    @PROPERTY
    @given(TEXTS)
    @example("")
    @example("light\0s")
    def check(text):
        assert file.differences([text]) == []

    check()


def test_option_sets_differ_where_they_should(file_of):
    """Else the comparisons above would compare one tokenizer many times."""
    text = "Paris lights é 東京 a\u200bb abcd xr500 " + "a" * 101
    names = ["uncased", "cased", "accents_kept", "accents_stripped_cased", "controls_kept", "whole_cjk", "words_of_3"]
    ids = {name: tuple(file_of(name).ids(text)) for name in [*names, "words_of_200", "letter_indicator", "tokens"]}
    assert len(set(ids.values())) == len(ids)


@pytest.mark.parametrize("name", ["uncased", "words_of_3", "words_of_200"])
@pytest.mark.parametrize("unit", ["a", "é", "東", "👍", "ß"])
def test_words_are_measured_in_characters(file_of, name, unit):
    file = file_of(name)
    counts = (1, 2, 3, 4, 50, 51, 99, 100, 101, 199, 200, 201)
    assert file.differences([f"{letters}{unit * n} on" for n in counts for letters in ("", "b")]) == []


def test_special_tokens_are_found_in_every_text(file_of):
    file = file_of("uncased")
    assert file.ids("[CLS]on[PAD][ SEP ]") == file.library.encode("[CLS]on[PAD][ SEP ]").ids
    assert file.ids("[PAD]")[1] == file.preprocessor.tokenizer.pad_token_id
    assert file.ids("[pad]")[1] != file.preprocessor.tokenizer.pad_token_id


def test_a_token_beside_the_pieces_is_no_piece(file_of):
    """`café` counts only as a word; within one its letters are pieces, and it is none itself."""
    file = file_of("tokens")
    token_id = file.vocabulary.index("café")
    assert token_id in file.ids("a café!") and token_id not in file.ids("acafé") + file.ids("CAFE")


def test_texts_that_are_not_utf8_and_values_that_are_no_bytes(file_of):
    file = file_of("tokens")
    rng = random.Random(3)
    for _ in range(300):
        data = bytes(rng.choice(b"ab \xe2\x82\xac\xc3\xa9\xf0\x9f\xff\xed\xa0[") for _ in range(rng.randrange(20)))
        assert file.run(list(data)) == file.library.encode(data.decode("utf-8", "replace")).ids
    assert file.run([97, 300, 98, 0, 99]) == file.ids("a\ufffdb")


@pytest.mark.parametrize("length", [3, 4, 5, 8, 9])
def test_pairs_share_a_row_as_in_transformers(file_of, length):
    """The graph of every length, and the file that is converted from one of them: they differ in one constant."""
    from edgedistil_runtime.text_bytes import encode_text

    path = file_of("uncased").path.with_stem(f"p{length}")
    file = dataclasses.replace(file_of("uncased"), sequence_length=length, path=path, is_pair=True)
    library = file.library
    for first, second in itertools.product(range(9), repeat=2):
        texts = "on " * first, "a " * second
        due = library.encode(*texts).ids
        [row] = file.functions["tokenize_pair"](*map(encode_text, texts))["token_ids"].numpy().tolist()
        assert row == due, (first, second)
        if length == 8:
            assert file.ids(*texts) == due, (first, second)
        features = file.preprocessor(x=tuple([text] for text in texts))
        assert features["token_ids"].numpy()[0].tolist() == due + [0] * (length - len(due))


def test_the_preprocessor_gives_the_same_rows_eagerly_in_graphs_and_from_a_preset(file_of, tmp_path):
    import keras_hub
    import tensorflow as tf

    preprocessor = file_of("tokens").preprocessor
    texts = ["Turn on the XR500", "[PAD] café", ""]
    due = [file_of("tokens").library.encode(text).ids for text in texts]
    backbone = keras_hub.models.DistilBertBackbone(
        vocabulary_size=len(file_of("tokens").vocabulary), num_layers=1, num_heads=2, hidden_dim=8, intermediate_dim=8
    )
    classifier = keras_hub.models.DistilBertTextClassifier(backbone, 2, preprocessor=preprocessor)
    classifier.save_to_preset(str(tmp_path))
    loaded = keras_hub.models.DistilBertTextClassifier.from_preset(str(tmp_path)).preprocessor
    batch = next(iter(tf.data.Dataset.from_tensor_slices(texts).batch(3).map(preprocessor)))
    for features in (preprocessor(texts), preprocessor(tf.constant(texts)), batch, loaded(texts)):
        for ids, mask, row in zip(features["token_ids"].numpy(), features["padding_mask"].numpy(), due, strict=True):
            assert ids[: len(row)].tolist() == row and mask.tolist() == [i < len(row) for i in range(len(mask))]
    assert [[2, *ids, 3] for ids in preprocessor.tokenizer(texts).to_list()] == due
    assert loaded.tokenizer.rules == preprocessor.tokenizer.rules


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([("ab", {}), ("bc", {})], "overlap.*'ab' and 'bc'"),
        ([("haha", {})], "overlap.*'haha'"),
        ([("Ab", {"normalized": True}), ("aB", {"normalized": True})], "equal.*'Ab' and 'aB'"),
        ([(" ab", {})], "white space.*' ab'"),
        ([("\u200b", {"normalized": True})], "empty.*Received"),
        ([("ab", {"normalized": True, "single_word": True})], "single_word.*'ab'"),
    ],
)
def test_added_tokens_that_cannot_be_found_exactly_are_refused(tmp_path, tokens, message):
    from edgedistil_runtime.errors import ConversionError

    words = vocabulary()
    file = HuggingFaceFile(
        [*words, *(content for content, _ in tokens)],
        [*special_tokens(words), *added_tokens(len(words), tokens)],
        {},
        tmp_path / "no.tflite",
    )
    with pytest.raises(ConversionError, match=message):
        _ = file.backend


def test_ids_of_added_tokens_must_follow_the_pieces():
    from edgedistil_converters.model.hugging_face_tokenizer import HuggingFaceTokenizer
    from edgedistil_runtime.errors import ConversionError

    words = vocabulary()
    with pytest.raises(ConversionError, match="without a gap"):
        HuggingFaceTokenizer([*words, "<a>", "<b>"], added_tokens=[{"content": "<a>", "id": len(words)}])
    with pytest.raises(ConversionError, match="'turn'.*is a piece"):
        HuggingFaceTokenizer([*words, "turn"], added_tokens=[{"content": "turn", "id": len(words)}])
    with pytest.raises(ConversionError, match="at its id.*'<b>'"):
        HuggingFaceTokenizer([*words, "<a>"], added_tokens=[{"content": "<b>", "id": len(words)}])


def test_marks_that_change_places_are_refused(tmp_path):
    from edgedistil_runtime.errors import ConversionError

    words = vocabulary(["a\u302e", "##\u302f", "\U0001d165"])
    assert len(words) == len(vocabulary()) + 3
    file = HuggingFaceFile(words, special_tokens(words), {}, tmp_path / "marks.tflite")
    with pytest.raises(ConversionError, match=r"U\+302E and U\+1D165"):
        _ = file.backend
    cased = HuggingFaceFile(words, special_tokens(words), {"lowercase": False}, tmp_path / "cased.tflite")
    one = vocabulary(["a\u302e", "##\u302e"])
    uncased = HuggingFaceFile(one, special_tokens(one), {}, tmp_path / "one.tflite")
    marks = ["a\u302e", "a\U0001d165\u302e", "a\u302e\U0001d165", "a\u0301\u302e\u0316", "á\u302e\u302e"]
    assert cased.differences(marks) == uncased.differences(marks) == []


def test_tftext_and_mediapipe_are_refused_where_they_cannot_follow(file_of):
    from edgedistil_converters.targets.mediapipe import check_mediapipe_tokenizer
    from edgedistil_converters.tokenizer.settings import read_tokenizer
    from edgedistil_converters.tokenizer.tftext import TFTextTokenizer
    from edgedistil_runtime.errors import ConversionError

    with pytest.raises(ConversionError, match="`tokenizer`='builtin'"):
        TFTextTokenizer(*read_tokenizer(file_of("uncased").preprocessor))
    check_mediapipe_tokenizer(*read_tokenizer(file_of("uncased").preprocessor))
    for name, option in (("tokens", "added_tokens"), ("words_of_3", "max_input_chars_per_word")):
        with pytest.raises(ConversionError, match=option):
            check_mediapipe_tokenizer(*read_tokenizer(file_of(name).preprocessor))


@pytest.fixture(scope="module")
def classifier(make_classifier, file_of):
    """A classifier whose tokenizer has Hugging Face's rules and added tokens."""
    import keras_hub

    file = dataclasses.replace(file_of("tokens"), sequence_length=24)
    source = make_classifier()
    config = {**source.backbone.get_config(), "vocabulary_size": len(file.vocabulary)}
    made = keras_hub.models.DistilBertTextClassifier(
        type(source.backbone).from_config(config), 3, preprocessor=file.preprocessor
    )
    generator = np.random.default_rng(4)
    for variable in made.weights:
        noise = generator.normal(0, 0.25, variable.shape).astype(np.float32)
        variable.assign(noise + (1 if variable.path.endswith("gamma") else 0))
    return made


@pytest.fixture(scope="module")
def conversion(classifier, tmp_path_factory):
    from edgedistil_converters import ModelInterface, QuantizationPlan, convert_classifier

    path = tmp_path_factory.mktemp("hugging_face") / "classifier.tflite"
    return path, convert_classifier(
        classifier, ("a", "b", "c"), path, plan=QuantizationPlan("fp32"), interface=ModelInterface(takes_text_pair=True)
    )


def test_a_pad_token_in_a_text_is_not_masked(classifier, conversion):
    """`transformers` masks the padding; KerasHub would mask the id wherever it is."""
    from edgedistil_converters.verification.keras_answers import answer_with_keras
    from edgedistil_runtime import TextClassifier

    texts = ["turn [PAD] on the XR500", "turn on", "the [PAD][PAD]", "[PAD] light [SEP] music", "a b c d e f g"]
    answers = answer_with_keras(classifier, texts)
    with TextClassifier(conversion[0]) as runner:
        for text, answer, together in zip(texts, answers, runner.classify_batch(texts), strict=True):
            for received in (runner.classify(text), together):
                np.testing.assert_allclose(list(received.probabilities.values()), answer.probabilities, atol=1e-5)
    ids = classifier.preprocessor(texts)
    masked = {"token_ids": ids["token_ids"], "padding_mask": ids["token_ids"] != 0}
    logits = [np.asarray(classifier(features)) for features in (ids, masked)]
    assert np.abs(logits[0] - logits[1]).max(axis=1)[[0, 2, 3]].min() > 1e-3  # else this test proves nothing


def test_the_rules_are_in_the_metadata_of_the_file(classifier, conversion):
    from edgedistil_converters.tokenizer.settings import read_tokenizer
    from edgedistil_runtime.artifact import ArtifactMetadata, read_artifact

    metadata = read_artifact(conversion[0]).metadata
    assert metadata.tokenizer == read_tokenizer(classifier.preprocessor)[0]
    assert (metadata.tokenizer.rules, metadata.tokenizer.truncate) == ("hugging_face", "longest_first")
    assert [token.content for token in metadata.tokenizer.added_tokens][-len(TOKENS) :] == [t for t, _ in TOKENS]
    assert ArtifactMetadata.from_json(metadata.to_json()) == metadata


def test_inspect_shows_the_rules(conversion):
    from click.testing import CliRunner

    from edgedistil.cli.inspect import inspect

    result = CliRunner().invoke(inspect, [str(conversion[0]), "--json"])
    shown = json.loads(result.stdout.splitlines()[-1])["tokenizer"]
    assert (shown["rules"], shown["clean_text"], shown["handle_chinese_chars"]) == ("hugging_face", True, True)
    assert "[SEP]" in shown["added_tokens"] and "xr500" in shown["added_tokens"]


def test_pruning_keeps_added_tokens_and_rules(classifier):
    from edgedistil_converters.preparation.pruning import prune_classifier

    texts = ["turn on the XR500", "play [PAD] music café", "Ünit-7"]
    pruned = prune_classifier(classifier, texts)
    rules = pruned.classifier.preprocessor.tokenizer.rules
    assert pruned.report.unchanged == 1 and pruned.report.vocabulary_after < pruned.report.vocabulary_before
    assert [t.content for t in rules.added_tokens] == [
        t.content for t in classifier.preprocessor.tokenizer.rules.added_tokens
    ]


REAL = [
    *(("bert-base-uncased", name) for name in list(OPTIONS)[:6]),
    *(("bert-base-multilingual-cased", name) for name in list(OPTIONS)[:6]),
]


@pytest.mark.slow
@pytest.mark.parametrize(("real", "name"), REAL)
def test_every_assigned_code_point(file_of, real, name):
    characters = [c for c in map(chr, range(1, 0x110000)) if unicodedata.category(c) not in ("Cn", "Co", "Cs")]
    characters += ["\ue000", "\uf8ff", "\U000f0000", "\U0010fffd", "\ufffe", "\uffff", "\u0378"]
    probes = [probe for c in characters for probe in (c, f"a{c}b", c + c)]
    texts = [" ".join(probes[first : first + 100]) for first in range(0, len(probes), 100)]
    assert file_of(name, real).differences(texts) == []


@pytest.mark.slow
def test_every_assigned_code_point_alone(file_of):
    characters = [c for c in map(chr, range(1, 0x110000)) if unicodedata.category(c) not in ("Cn", "Co", "Cs")]
    assert file_of("uncased", "bert-base-uncased").differences(characters) == []


@pytest.mark.slow
@pytest.mark.parametrize(("real", "name"), REAL[:1] + REAL[7:8])
def test_naughty_strings_and_data_sets(file_of, shared_folder, real, name):
    file = file_of(name, real)
    texts = json.loads((shared_folder / "tokenizer-cases/blns/blns.json").read_text("utf-8"))
    for path in sorted((shared_folder / "data").glob("*/*.csv")):
        with path.open(encoding="utf-8", newline="") as lines:
            texts += [row[0] for row in csv.reader(lines) if row]
    assert len(texts) > 50_000
    assert file.differences(dict.fromkeys(texts)) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("real", "name", "count"), [(None, "tokens", 100_000), ("bert-base-uncased", "uncased", 100_000)]
)
def test_generated_strings(file_of, real, name, count):
    file, generator = file_of(name, real), random.Random(6)
    parts = [*FRAGMENTS, *(chr(c) for c in range(0x300, 0x370)), *generator.sample(file.vocabulary, 60)]

    def part():
        return chr(generator.choice((generator.randrange(1, 0xD800), generator.randrange(0xE000, 0x20000))))

    def text():
        return "".join(
            generator.choice(parts) if generator.random() < 0.8 else part() for _ in range(generator.randrange(12))
        )

    assert file.differences([text() for _ in range(count)]) == []


@pytest.mark.slow
def test_random_vocabularies_with_traps(tmp_path):
    generator = random.Random(8)
    for number in range(40):
        letters = generator.sample("abcéÉeß東京가ᄀ\u0301\u302e-_#!1½ \u00a0", 6)
        words = ["".join(generator.choice(letters) for _ in range(generator.randrange(1, 5))) for _ in range(40)]
        prefix = generator.choice(["##", "##", "a", "@"])
        words = [generator.choice(["", prefix]) + word for word in words]
        found = vocabulary([]) if generator.random() < 0.2 else ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        found = list(dict.fromkeys([*found, *words]))
        options = {
            "lowercase": generator.random() < 0.5,
            "strip_accents": generator.choice([None, True, False]),
            "clean_text": generator.random() < 0.7,
            "handle_chinese_chars": generator.random() < 0.7,
            "max_input_chars_per_word": generator.choice([2, 5, 100]),
            "suffix_indicator": prefix,
        }
        file = HuggingFaceFile(found, special_tokens(found), options, tmp_path / f"{number}.tflite")
        texts = ["".join(generator.choice([*letters, " "]) for _ in range(generator.randrange(14))) for _ in range(200)]
        assert file.differences(texts) == [], options
