"""Random vocabularies with traps, beside KerasHub: runs of one letter, long, overlapping pieces, characters alone."""

import random

import numpy as np
import pytest

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
SEQUENCE_LENGTH = 256
BITS = ["!", "#", "##", "-", "é", "e\u0301", "\u0301", "日", "𐐀", "\u200b", "ﬁ", "ß", "ꙮ", "[SEP]"]


def words(generator, letters, longest, count):
    return ["".join(generator.choice(letters) for _ in range(generator.randint(1, longest))) for _ in range(count)]


def both(starts, continuations):
    return [*starts, *(f"##{piece}" for piece in continuations)]


def runs(generator):
    return both(["a" * n for n in generator.sample(range(1, 60), 20)], ["a" * n for n in range(1, 60, 3)])


def long_pieces(generator):
    return both(words(generator, "abc", 40, 300), words(generator, "abc", 40, 300))


def characters_alone(_):
    ranges = ((97, 123), (0x4E00, 0x4E40), (0x1F600, 0x1F640), (0xAC00, 0xAC40))
    characters = [chr(code_point) for first, last in ranges for code_point in range(first, last)]
    return both(characters, characters)


def outside_the_basic_plane(generator):
    deseret = [chr(code_point) for code_point in range(0x10400, 0x10450)]
    odd = ["##xxx", "a##b", "##", "###", "#", "x" * 200, "##" + "y" * 101, "y", "##y"]
    return [*both(words(generator, deseret, 9, 80), words(generator, deseret, 9, 80)), *odd]


def prefixes(generator):
    [word] = (generator.choices("abcdefgh", k=50),)
    whole = "".join(word)
    middles = [whole[i : i + n] for i in range(0, 40, 3) for n in (1, 5, 6, 7, 8, 13)]
    return both([whole[:n] for n in range(1, 50, 2)], middles)


def texts_for(generator, vocabulary, count):
    """Texts of pieces, parts of pieces and what stands between words."""
    pieces = [piece.removeprefix("##") or "#" for piece in vocabulary[len(SPECIAL) :]]
    for _ in range(count):
        text, length = "", generator.choice([3, 30, 120, 400])
        while len(text) < length:
            text += generator.choices(
                [
                    generator.choice(pieces)[: generator.choice([1, 3, 7, 99])],
                    " ",
                    generator.choice(BITS),
                    generator.choice("abcxyz") * generator.choice([1, 5, 6, 7, 8, 100, 101]),
                ],
                weights=[6, 1.5, 1, 1.5],
            )[0]
        yield text


@pytest.mark.slow
@pytest.mark.parametrize("make", [runs, long_pieces, characters_alone, outside_the_basic_plane, prefixes])
@pytest.mark.parametrize("options", [{"lowercase": True}, {"lowercase": False}, {"strip_accents": True}], ids=str)
def test_ids_of_random_vocabularies(make, options, make_preprocessor):
    import tensorflow as tf

    from edgedistil_converters.tokenizer.graph import GraphTokenizer
    from edgedistil_converters.tokenizer.settings import read_tokenizer

    generator = random.Random(f"{make.__name__} {options}")
    vocabulary = list(dict.fromkeys([*SPECIAL, *make(generator)]))
    preprocessor = make_preprocessor(vocabulary, sequence_length=SEQUENCE_LENGTH, **options)
    tokenizer = GraphTokenizer(*read_tokenizer(preprocessor))
    ours = tf.function(tokenizer, input_signature=[tf.TensorSpec([None], tf.int32)])
    reference = tf.function(lambda batch: preprocessor(batch)["token_ids"])
    texts = list(texts_for(generator, vocabulary, 400))
    due = reference(tf.constant([text.encode() for text in texts])).numpy()
    for text, row in zip(texts, due, strict=True):
        found = ours(np.frombuffer(text.encode(), np.uint8).astype(np.int32)).numpy()[0]
        assert np.pad(found, (0, SEQUENCE_LENGTH - len(found))).tolist() == row.tolist(), text
