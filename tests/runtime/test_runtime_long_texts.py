"""Texts longer than a row: their excerpts and `is_truncated`, compared with a Python tokenizer of the whole text."""

import dataclasses
import unicodedata

import numpy as np
import pytest

from edgedistil_runtime import FakeBackend, Signature, TextClassifier
from edgedistil_runtime.artifact import artifact_bytes
from edgedistil_runtime.long_texts import LongTexts, most_token_ids

from .long_rows import LENGTH, ids_of, random_texts, row


class Recorder:
    """`tokenize`, and the sizes of the texts that it got."""

    def __init__(self):
        self.sizes = []

    def __call__(self, text, text_pair):
        self.sizes.append(len(text) + len(text_pair or ""))
        return row(text, text_pair)


@pytest.fixture
def tokenize():
    return Recorder()


@pytest.fixture
def long_texts(settings, tokenize):
    return LongTexts(settings(), tokenize)


@pytest.fixture
def settings(metadata):
    return lambda **changes: dataclasses.replace(metadata.tokenizer, sequence_length=LENGTH, **changes)


def test_rows_and_flags_are_those_of_whole_texts(long_texts):
    flags = []
    for text in random_texts(1, 3000):
        excerpt = long_texts.excerpt(text)
        assert row(excerpt.text) == row(text), ascii(text)
        assert excerpt.token_ids in (None, row(text))
        assert excerpt.is_truncated in (None, len(ids_of(text)) > LENGTH - 2), ascii(text)
        flags.append(excerpt.is_truncated)
    assert flags.count(True) > 300 and flags.count(False) > 300
    assert flags.count(None) < 0.05 * len(flags)


def test_pairs_of_which_the_longer_one_gets_more(settings):
    """`longest_first` with an odd room: two texts that both fill the row are compared by all of their ids."""

    def longest_first(text, text_pair=None):
        first, second, room = ids_of(text), ids_of(text_pair or ""), LENGTH - 3
        if text_pair is None:
            return row(text)
        kept = min(len(first), room // 2) if len(first) <= len(second) else room - min(len(second), room // 2)
        kept = len(first) if len(first) + len(second) <= room else kept
        return [1, *first[:kept], 2, *second[: room - kept], 2]

    rules = settings(rules="hugging_face", truncate="longest_first", max_input_chars_per_word=100)
    long_texts, texts = LongTexts(rules, longest_first), list(random_texts(3, 2000))
    pairs = [("word " * 900, "word " * 800), ("word " * 800, "word " * 900), *zip(texts[::2], texts[1::2])]  # noqa: B905
    for pair in pairs:
        excerpt = long_texts.excerpt(*pair)
        assert longest_first(excerpt.text, excerpt.text_pair) == longest_first(*pair), ascii(pair)


def test_pairs(long_texts):
    texts = list(random_texts(2, 3000))
    flags = []
    for pair in zip(texts[::2], texts[1::2]):  # noqa: B905  # Python 3.9 has no strict
        excerpt = long_texts.excerpt(*pair)
        assert row(excerpt.text, excerpt.text_pair) == row(*pair), ascii(pair)
        assert excerpt.is_truncated == (sum(map(len, map(ids_of, pair))) > LENGTH - 3), ascii(pair)
        flags.append(excerpt.is_truncated)
    assert flags.count(True) > 300 and flags.count(False) > 300


@pytest.mark.parametrize("count", [LENGTH - 3, LENGTH - 2, LENGTH - 1])
@pytest.mark.parametrize("word", ["a", "рус", "."])
def test_the_last_word_decides(long_texts, word, count):
    text = " ".join(["ab"] * (count - len(ids_of(word))) + [word])
    assert long_texts.excerpt(text).is_truncated == (count > LENGTH - 2)


def test_a_megabyte_costs_a_page(long_texts, tokenize):
    for text in ("word, and more. " * 65_536, "рус " * 262_144, "東京" * 524_288):
        tokenize.sizes.clear()
        assert long_texts.excerpt(text).is_truncated is True
        assert sum(tokenize.sizes) < 50 * LENGTH
        tokenize.sizes.clear()
        assert long_texts.excerpt(text, text).is_truncated is True
        assert sum(tokenize.sizes) < 100 * LENGTH


def test_long_words_are_one_unknown_piece(long_texts, tokenize):
    text = "see: " + "aB7" * 349_525
    excerpt = long_texts.excerpt(text)
    assert (row(excerpt.text), excerpt.is_truncated) == (row(text), False)
    assert sum(tokenize.sizes) < 100 * LENGTH
    assert long_texts.excerpt(text + " word" * 40).is_truncated is True
    assert long_texts.excerpt(text, text).is_truncated is False


def test_short_texts_cost_nothing(long_texts, tokenize):
    assert long_texts.excerpt("turn on it").is_truncated is False
    assert long_texts.excerpt("é a", "ü").is_truncated is False
    assert tokenize.sizes == []


def test_what_stands_behind_a_nul_does_not_count(long_texts):
    assert long_texts.excerpt("hello\0" + "word " * 99).is_truncated is False


@pytest.mark.parametrize(
    ("changes", "size"),
    [
        ({"split": False}, 4000),
        ({"special_tokens_in_strings": True, "special_tokens": ("a b",)}, 4000),
        ({"split_on_cjk": False}, 4000),
        ({"special_tokens_in_strings": True, "special_tokens": ("[MASK]",)}, 4000),
    ],
)
def test_settings_that_leave_nowhere_to_cut(settings, tokenize, changes, size):
    excerpt = LongTexts(settings(**changes), tokenize).excerpt("東京" * (size // 2))
    assert len(excerpt.text) == size
    assert excerpt.is_truncated is None


def test_special_tokens_leave_whitespace(settings, tokenize):
    long_texts = LongTexts(settings(special_tokens_in_strings=True, special_tokens=("[MASK]",)), tokenize)
    excerpt = long_texts.excerpt("a,[MASK] b " * 4000)
    assert excerpt.is_truncated is True
    assert len(excerpt.text) < 8 * LENGTH
    assert excerpt.text.endswith((" ", "[MASK] "))


def test_no_character_gives_more_ids_than_its_bound():
    for number in [*range(0x4E00), *range(0xF900, 0x20000), *range(0x2F800, 0x2FA20)]:  # those that fold are there
        mark = chr(number)
        folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", mark).casefold())
        assert len(folded) <= most_token_ids(mark), hex(number)


class TestClassifier:
    @pytest.fixture
    def backend(self):
        def answer(signature, inputs):
            texts = [bytes(inputs[name].astype(np.uint8)).split(b"\0")[0].decode() for name in inputs]
            if signature.startswith("tokenize"):
                return {"token_ids": np.array([row(*texts)], np.int32)}
            return {"probabilities": np.array([[0.25, 0.25, 0.5]], np.float32)}

        pair = ("text", "text_pair")
        signatures = {
            "classify_text": Signature(("text",), ("probabilities",)),
            "classify_text_pair": Signature(pair, ("probabilities",)),
            "tokenize": Signature(("text",), ("token_ids",)),
            "tokenize_pair": Signature(pair, ("token_ids",)),
        }
        return FakeBackend(answer, signatures=signatures)

    @pytest.fixture
    def classifier(self, write, flatbuffer, metadata, settings, vocabulary, backend):
        short = dataclasses.replace(metadata, tokenizer=settings(), golden_cases=metadata.golden_cases[:1])
        path = write(artifact_bytes(flatbuffer, short, vocabulary))
        with TextClassifier(path, backend=backend, verify=False) as classifier:
            yield classifier

    def test_flags(self, classifier):
        long = "some words " * 1000
        assert [answer.is_truncated for answer in classifier.classify_batch(["short", long])] == [False, True]
        assert classifier.classify(long).text == long
        assert classifier.classify("short", long).is_truncated is True
        assert classifier.classify("short", "too").is_truncated is False
        assert classifier.tokenize(long) == row(long)
        assert classifier.tokenize(long, "b") == row(long, "b")

    def test_a_bounded_row_of_bytes(self, classifier, backend):
        classifier.classify("some words " * 90_000)
        assert max(inputs["text"].size for _, inputs in backend.calls) <= 256
