"""Rows of token ids from the beginning of a long text are those of the whole text, in the graph's own tokenizer."""

import random

import pytest

from edgedistil_runtime.long_texts import LongTexts
from edgedistil_runtime.pieces import HEAD_TAIL, WINDOWS, Pieces

CHARACTERS = [
    *"abeqty17_-.,!?'#@ \t\n\r\0",
    *["a" * 130, "turn ", "the light ", "Straße ", "NASA", "한", "[SEP]", "<x>"],
    *["éa\u0301", "\u0307", "\u0345", "\u115f", "\u3164", "\uff9e", "\u200d"],
    *[
        "東京",
        "日",
        "が",
        "½",
        "ﷺ",
        "ﬁ",
        "👍",
        "…",
        "，",
        "\u3000",
        "\u00a0",
        "\x1c",
        "Ж",
        "рус ",
        "한",
        "[SEP]",
        "<x>",
    ],
]
NAMES = ["strip_accents", "special_tokens"]
MORE = ["lowercase", "cased", "whole_cjk", "unsplit", "hangul", "no_piece"]  # half a minute each on a busy machine


def random_text(generator):
    alphabet = generator.sample(CHARACTERS, generator.randint(1, 8))
    return "".join(generator.choices(alphabet, k=generator.choice([8, 22, 23, 60, 300, 900])))


@pytest.mark.parametrize("name", [*NAMES, *(pytest.param(name, marks=pytest.mark.slow) for name in MORE)])
def test_excerpts_have_the_ids_of_whole_texts(tokenizer_file, eager_keras_ids, name):
    from edgedistil_converters.tokenizer.settings import read_tokenizer

    file = tokenizer_file(name)
    settings, _ = read_tokenizer(file.preprocessor)
    long_texts = LongTexts(settings, lambda text, _: file.ids(text))
    generator, flags = random.Random(name), []
    for _ in range(200):
        text = random_text(generator)
        whole = file.ids(text)
        excerpt = long_texts.excerpt(text)
        assert file.ids(excerpt.text) == whole, ascii(text)
        if len(whole) < settings.sequence_length:
            assert excerpt.is_truncated is False, ascii(text)
        flags.append((text, excerpt.is_truncated))
    assert any(flag for _, flag in flags) or name == "unsplit"
    if settings.split:
        for text, flag in flags[:100]:
            count = len(eager_keras_ids(file.preprocessor, text))
            assert flag in (None, count > settings.sequence_length - 2), ascii(text)


@pytest.mark.parametrize("name", [*NAMES, *(pytest.param(name, marks=pytest.mark.slow) for name in MORE)])
def test_pieces_have_the_ids_of_their_texts(tokenizer_file, eager_keras_ids, name):
    from edgedistil_converters.tokenizer.settings import read_tokenizer

    file = tokenizer_file(name)
    settings, _ = read_tokenizer(file.preprocessor)
    pieces = Pieces(settings, lambda text, _: file.ids(text))
    generator, divided = random.Random(name), 0
    for _ in range(100):
        text = random_text(generator)
        count = len(eager_keras_ids(file.preprocessor, text))
        if count <= settings.sequence_length - 2:
            continue
        assert pieces.count_ids(text) <= count, ascii(text)
        for way in (HEAD_TAIL, WINDOWS):
            for piece in pieces.divide(text, way):
                divided += 1
                if piece.is_truncated is not None:
                    assert list(piece.token_ids) == file.ids(piece.text), ascii(text)
    assert divided > 50 or name == "unsplit"
