"""Pieces of texts longer than a row, compared with a Python tokenizer of the whole text."""

import dataclasses
import random

import numpy as np
import pytest

from edgedistil_runtime import FakeBackend, Signature, TextClassifier
from edgedistil_runtime.artifact import artifact_bytes
from edgedistil_runtime.errors import InputError
from edgedistil_runtime.pieces import HEAD_TAIL, WINDOWS, Pieces

from .long_rows import CHARACTERS, LENGTH, ids_of, random_texts, row

ROOM = LENGTH - 2
NUMBERS = " ".join(f"{number:02}" for number in range(50))  # fifty ids, all different


def place(text):
    """The numbers of a piece of `NUMBERS`."""
    return [int(word) for word in text.split()]


@pytest.fixture
def settings(metadata):
    return lambda **changes: dataclasses.replace(metadata.tokenizer, sequence_length=LENGTH, **changes)


@pytest.fixture
def pieces(settings):
    return Pieces(settings(), row)


def long_texts(seed, count):
    return [text for text in random_texts(seed, count) if len(ids_of(text)) > ROOM]


def test_pieces_have_the_ids_of_their_texts(pieces):
    divided = 0
    for text in long_texts(4, 2000):
        for way in (HEAD_TAIL, WINDOWS):
            for piece in pieces.divide(text, way):
                divided += 1
                assert len(piece.token_ids) <= LENGTH
                if piece.is_truncated is not None:  # None: one indivisible part
                    assert list(piece.token_ids) == row(piece.text), ascii(text)
    assert divided > 2000


def test_windows_are_the_whole_text_in_overlapping_rows(pieces):
    generator = random.Random(5)
    for count in range(8, 200):
        # Numbered, so that a window is found at one place only.
        text = "".join(f"{number:03}{generator.choice(CHARACTERS)} " for number in range(count))
        windows = pieces.divide(text, WINDOWS)
        assert len(windows) > 1 and not any(piece.is_truncated for piece in windows)
        end = 0
        for piece in windows:
            start = text.index(piece.text)
            assert start <= end < start + len(piece.text)
            end = start + len(piece.text)
        assert end == len(text)


def test_windows_of_words(pieces):
    windows = [place(piece.text) for piece in pieces.divide(NUMBERS, WINDOWS)]
    assert windows[0][0] == 0 and windows[-1][-1] == 49
    assert {number for window in windows for number in window} == set(range(50))
    for before, after in zip(windows, windows[1:]):  # noqa: B905, RUF007  # as in Python 3.9
        assert len(before) == ROOM and before[0] < after[0] <= before[-1]
    assert len(windows[-1]) == ROOM
    assert len(windows) <= 5


def test_head_and_tail_of_words(pieces):
    [piece] = pieces.divide(NUMBERS, HEAD_TAIL)
    assert place(piece.text) == [*range(7), *range(43, 50)]
    assert piece.is_truncated is True
    [glued] = pieces.divide("東" * 40, HEAD_TAIL)
    assert list(glued.token_ids) == row(glued.text)


def test_the_number_of_ids(pieces):
    for text in random_texts(6, 2000):
        count = pieces.count_ids(text)
        assert count == len(ids_of(text)) or (count < len(ids_of(text)) and not text.isascii()), ascii(text)
    assert pieces.count_ids(f"{NUMBERS} " * 1000) == 50_000


@pytest.mark.parametrize("way", [HEAD_TAIL, WINDOWS])
def test_texts_that_cannot_be_divided(settings, way):
    pieces = Pieces(settings(split=False), row)
    assert pieces.divide("word " * 100, way) == []
    assert pieces.words("word " * 100) == [("word " * 100).strip()]
    assert pieces.words("") == []


def test_words_are_forgotten_when_there_are_too_many(pieces, monkeypatch):
    monkeypatch.setattr("edgedistil_runtime.pieces._MOST_KEPT", 3)
    for _ in range(2):
        assert [place(piece.text)[0] for piece in pieces.divide(NUMBERS, WINDOWS)] == [0, 11, 22, 33, 36]
    assert len(pieces._blocks_of) <= 3


def test_an_indivisible_part_at_either_end(pieces):
    giant = "русский" * 40 if len(ids_of("русский" * 40)) > ROOM else "ﷺ" * 3
    for text in (f"{giant} {NUMBERS}", f"{NUMBERS} {giant}"):
        windows = pieces.divide(text, WINDOWS)
        assert {number for piece in windows for number in place(piece.text.replace(giant, ""))} == set(range(50))
        for piece in pieces.divide(text, HEAD_TAIL):
            assert len(piece.token_ids) <= LENGTH and piece.is_truncated


def test_a_megabyte_costs_its_words(settings):
    sizes = []

    def tokenize(text, _):
        sizes.append(len(text))
        return row(text)

    pieces = Pieces(settings(), tokenize)
    text = "word, and more. " * 16_384
    windows = pieces.divide(text, WINDOWS)
    assert len(windows) * ROOM < 1.5 * len(ids_of(text))
    assert sorted(sizes) == sorted(map(len, {"word", ",", "and", "more", "."}))  # each word once
    sizes.clear()
    assert pieces.count_ids(text) == len(ids_of(text))
    assert sum(sizes) <= 2 * len(text)


class TestClassifier:
    """The fake model's probabilities are those of the ids of its text, so a mean of pieces can be computed."""

    @staticmethod
    def probabilities(ids):
        exponentials = np.exp(np.array([np.mean(ids) / 16, 1.0, len(ids) / 8]))
        return (exponentials / exponentials.sum()).astype(np.float32)

    @pytest.fixture(params=[False, True], ids=["text", "token batches"])
    def open_classifier(self, request, write, flatbuffer, metadata, settings, vocabulary):
        def answer(signature, inputs):
            if signature == "classify_tokens":
                rows = [[token for token in ids if token] for ids in inputs["token_ids"].tolist()]
                return {"probabilities": np.stack([self.probabilities(ids) for ids in rows])}
            ids = row(bytes(inputs["text"].astype(np.uint8)).split(b"\0")[0].decode())
            if signature == "tokenize":
                return {"token_ids": np.array([ids], np.int32)}
            return {"probabilities": self.probabilities(ids)[None]}

        text = ("text",)
        signatures = {
            "classify_text": Signature(text, ("probabilities",)),
            "tokenize": Signature(text, ("token_ids",)),
            "classify_text_pair": Signature(("text", "text_pair"), ("probabilities",)),
        }
        if request.param:
            signatures["classify_tokens"] = Signature(("token_ids",), ("probabilities",))
        short = dataclasses.replace(metadata, tokenizer=settings(), golden_cases=metadata.golden_cases[:1])
        path = write(artifact_bytes(flatbuffer, short, vocabulary))
        return lambda way: TextClassifier(
            path, backend=FakeBackend(answer, signatures=signatures), verify=False, long_texts=way
        )

    def test_windows_are_averaged(self, open_classifier, pieces):
        texts = ["short", NUMBERS, "", *long_texts(7, 60)]
        with open_classifier(WINDOWS) as classifier:
            answers = classifier.classify_batch(texts)
            for text, answer in zip(texts, answers):  # noqa: B905
                windows = pieces.divide(text, WINDOWS) if len(ids_of(text)) > ROOM else []
                rows = [piece.token_ids for piece in windows] or [row(text)]
                expected = np.mean([self.probabilities(ids) for ids in rows], axis=0)
                assert list(answer.probabilities.values()) == pytest.approx(expected.tolist(), abs=1e-6)
                assert answer.num_pieces == len(rows)
                assert classifier.classify(text).probabilities == pytest.approx(answer.probabilities, abs=1e-6)
            assert [answer.is_truncated for answer in answers[:3]] == [False] * 3
            assert answers[1].num_pieces > 3 and answers[1].text == NUMBERS

    def test_head_and_tail(self, open_classifier, pieces):
        with open_classifier(HEAD_TAIL) as classifier:
            answer = classifier.classify(NUMBERS)
            [piece] = pieces.divide(NUMBERS, HEAD_TAIL)
            expected = self.probabilities(piece.token_ids).tolist()
            assert list(answer.probabilities.values()) == pytest.approx(expected, abs=1e-6)
            assert (answer.is_truncated, answer.num_pieces) == (True, 1)
            assert classifier.classify("short").is_truncated is False

    def test_counts_and_the_default(self, open_classifier):
        with open_classifier("cut") as classifier:
            assert classifier.count_tokens(NUMBERS) == 50
            assert classifier.count_tokens("") == 0
            answer = classifier.classify(NUMBERS)
            assert (answer.is_truncated, answer.num_pieces) == (True, 1)
            assert list(answer.probabilities.values()) == pytest.approx(self.probabilities(row(NUMBERS)).tolist())

    def test_pairs_and_unknown_ways(self, open_classifier):
        with open_classifier(WINDOWS) as classifier, pytest.raises(InputError, match="Pairs of texts are not divided"):
            classifier.classify_batch(["a"], ["b"])
        with pytest.raises(
            InputError, match=r"`long_texts` must be one of cut, head-tail, windows. Received: 'middle'"
        ):
            open_classifier("middle")


def test_a_model_of_token_ids(write, flatbuffer, metadata, settings, vocabulary):
    tokens = dataclasses.replace(metadata, tokenizer=settings(kind="none"), golden_cases=metadata.golden_cases[:1])
    path = write(artifact_bytes(flatbuffer, tokens, vocabulary))
    with pytest.raises(InputError, match="takes token ids"):
        TextClassifier(path, verify=False, long_texts=WINDOWS)
