"""The TF-Text form of the tokenizer: KerasHub's ids through TF-Text's kernels, and the tables that they read."""

import dataclasses
import random
import unicodedata
from functools import cache

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edgedistil_converters.tokenizer.darts import LARGEST_VALUE, build_darts
from edgedistil_converters.tokenizer.normalizer_table import build_normalizer_table, ill_formed_sequences
from edgedistil_runtime.errors import ConversionError

PROPERTY = settings(derandomize=True, deadline=None, database=None, max_examples=100)
BUILTIN_CUSTOM = 32  # BuiltinOperator.CUSTOM in TFLite's schema.fbs
SEQUENCE_LENGTH = 24
CONTROLS = "\x01\x02\x03\x04\x05"

FRAGMENTS = (
    *("turn", "on", "the", "light", "lights", "lighting", "playing", "Music", "STRASSE", "straße", "Paris", "NASA"),
    *("quiz", "é", "ü", "İ", "ı", "ﬁ", "½", "Ⅷ", "™", "東", "京", "東京", "日本", "가", "각", "が", "👍", "مرحبا"),
    *(".", "!?", "'", "[SEP]", "##s", "##", "@@s", "@@", "s", "<unk>", "@", "-", "—", "“", "‗", "…", "(1)", "⑴"),
    *(" ", "  ", "\t", "\n", "\r\n", "\u00a0", "a\u3000b", "\u2028", "\u200b", "\u00ad", "\u034f", "\ufe0f", "¨"),
    *("\x07", "\x7f", "\x85", "\0", "\ufffd", "\U0010ffff", "𠮷", "\U0002f800", "a", "b", "z", "q", "1", *CONTROLS),
    *("👨‍👩‍👧", "≠", "a b"),
)
TEXTS = (
    *("", " ", "\n", "\0", "\0light", "light\0s", "the\0", "a", "é", "!", "turn on the lights, please!", "  on  "),
    *("東京", "x東x", "play…music", "STRASSE straße", "Paris NASA", "[SEP] [CLS] ##s", "zebra", "xyz qqq", "a b"),
    *("a" * 100, "a" * 101, "é" * 50, "é" * 51, "on " + "b" * 101 + " off", "¨" * 33, "¨" * 34, "‗", "☃" * 34),
    *("e-mail", "s", "##", "on " * 22, "on " * 23, "lights " * 400),
)
NAMES = ("lowercase", "cased", "strip_accents", "unsplit", "custom_indicator_whole_cjk")


class TFTextFile:
    """The tokenizer alone in a TFLite file that runs with TF-Text's kernels."""

    def __init__(self, preprocessor):
        import tensorflow as tf
        import tensorflow_text as tf_text
        from ai_edge_litert.interpreter import InterpreterWithCustomOps

        from edgedistil_converters import QuantizationPlan
        from edgedistil_converters.flatbuffer import convert_module
        from edgedistil_converters.tokenizer.settings import read_tokenizer
        from edgedistil_converters.tokenizer.tftext import TFTextTokenizer

        self.preprocessor = preprocessor
        self.tokenizer = TFTextTokenizer(*read_tokenizer(preprocessor))
        module = tf.Module()
        module.functions = {
            "tokenize": tf.function(
                lambda text: {"token_ids": self.tokenizer(text)},
                input_signature=[tf.TensorSpec([1], tf.string, name="text")],
            )
        }
        self.flatbuffer = convert_module(module, QuantizationPlan("fp32"), {}, has_custom_ops=True)
        interpreter = InterpreterWithCustomOps(
            model_content=self.flatbuffer, custom_op_registerers=tf_text.tflite_registrar.SELECT_TFTEXT_OPS
        )
        self.tokenize = interpreter.get_signature_runner("tokenize")

    def ids_of_bytes(self, text: bytes) -> list[int]:
        [row] = self.tokenize(text=np.array([text], object))["token_ids"].tolist()
        return row

    def ids(self, text: str) -> list[int]:
        return self.ids_of_bytes(text.encode())


@pytest.fixture(scope="module")
def tftext_file(tokenizer_file, make_preprocessor):
    """`tftext_file("cased")`: a file for that set of options of `tokenizer_file`, converted once."""

    @cache
    def make(name):
        preprocessor = tokenizer_file(name.removesuffix("_whole_cjk")).preprocessor
        if name.endswith("_whole_cjk"):
            tokenizer = preprocessor.tokenizer
            preprocessor = make_preprocessor(
                tokenizer.get_vocabulary(),
                split_on_cjk=False,
                suffix_indicator=tokenizer.suffix_indicator,
                oov_token=tokenizer.oov_token,
            )
        return TFTextFile(preprocessor)

    return make


def mixed_texts(count, seed):
    generator = random.Random(seed)
    return ["".join(generator.choices(FRAGMENTS, k=generator.randint(1, 12))) for _ in range(count)]


@pytest.mark.parametrize("name", NAMES)
def test_ids_are_keras_hubs(tftext_file, keras_ids, name):
    file = tftext_file(name)
    texts = [*TEXTS, *mixed_texts(200, seed=1)]
    due = dict(zip(texts, keras_ids(file.preprocessor, texts), strict=True))
    assert {text: file.ids(text) for text in texts} == due


def test_code_points_differ_only_where_they_compose(tftext_file, keras_ids):
    file = tftext_file("lowercase")
    assigned = [chr(c) for c in range(1, 0x20000) if unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co", "Lo")]
    texts = [f"a{character}b" for character in assigned]
    due = keras_ids(file.preprocessor, texts)
    different = [text for text, ids in zip(texts, due, strict=True) if file.ids(text) != ids]
    assert different == ["a\u0301b", "a\u0307b", "a\u0341b"]  # the vocabulary has these two marks as continuations
    assert all(unicodedata.normalize("NFC", text) != text for text in different)


def test_truncation(tftext_file):
    file = tftext_file("lowercase")
    assert len(file.ids("on " * (SEQUENCE_LENGTH - 2))) == SEQUENCE_LENGTH
    assert len(file.ids("on " * (SEQUENCE_LENGTH - 3))) == SEQUENCE_LENGTH - 1
    assert file.ids("on " * 1000) == file.ids("on " * (SEQUENCE_LENGTH - 2))


@pytest.mark.parametrize("text", ["e\u0301", "lighte\u0301", "か\u3099"])
def test_composition_is_what_it_cannot_do(tftext_file, keras_ids, text):
    file = tftext_file("lowercase")
    composed = unicodedata.normalize("NFC", text)
    assert [file.ids(composed)] == keras_ids(file.preprocessor, [text])
    assert file.ids(text) != file.ids(composed)


def test_marks_stay_apart_where_keras_hub_leaves_them_apart(tftext_file, keras_ids):
    file = tftext_file("cased")
    texts = ["e\u0301", "か\u3099", "a\u0307b", "\u0301"]
    assert [file.ids(text) for text in texts] == keras_ids(file.preprocessor, texts)


def test_ill_formed_bytes_are_unknown_characters(tftext_file, vocabulary):
    file = tftext_file("lowercase")
    unknown = vocabulary.index("[UNK]")
    for sequence in (b"\xff", b"\x80", b"\xc3", b"\xe6\x9d", b"\xf0\x9f\x92", b"\xed\xa0\x80", b"\xc0\x80"):
        assert file.ids_of_bytes(b"on a" + sequence + b"b, off") == file.ids("on a\ufffdb, off")
        assert file.ids_of_bytes(sequence)[1:-1] == [unknown]


def test_random_bytes_are_read_as_keras_hub_reads_them(tftext_file):
    import tensorflow as tf

    file = tftext_file("lowercase")
    generator = random.Random(5)
    parts = [bytes([byte]) for byte in range(256)] + [part.encode() for part in "ao東,… 👍é"] * 8
    texts = [b"".join(generator.choices(parts, k=generator.randint(0, 12))) for _ in range(2000)]
    traced = tf.function(lambda batch: file.preprocessor(batch)["token_ids"])
    due = traced(tf.constant(texts)).numpy()
    ids = [file.ids_of_bytes(text) for text in texts]
    pad = file.preprocessor.tokenizer.pad_token_id
    assert [row + [pad] * (SEQUENCE_LENGTH - len(row)) for row in ids] == due.tolist()


def test_control_characters_of_the_vocabulary_are_left_to_it(make_preprocessor, keras_ids):
    import tensorflow as tf

    from edgedistil_converters.tokenizer.settings import read_tokenizer
    from edgedistil_converters.tokenizer.tftext import TFTextTokenizer

    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "\x01", "a\x02", "## ", "##\x03"]
    preprocessor = make_preprocessor(vocabulary, split=False)
    tokenizer = TFTextTokenizer(*read_tokenizer(preprocessor))
    texts = ["a \x03", "\x01 ", "a\x02", "a\x04", "a\x05", "a\x06", "a\x07", "a\0\x01"]
    ids = [tokenizer(tf.constant([text])).numpy()[0].tolist() for text in texts]
    assert ids == keras_ids(preprocessor, texts)
    assert ids[0] == [2, 5, 8, 9, 3]


def test_the_file_has_the_named_custom_ops_alone(tftext_file):
    from ai_edge_litert import schema_py_generated as schema

    from edgedistil_converters.tokenizer.tftext import CUSTOM_OPS

    codes = schema.ModelT.InitFromPackedBuf(tftext_file("lowercase").flatbuffer, 0).operatorCodes
    assert {code.customCode.decode() for code in codes if code.builtinCode == BUILTIN_CUSTOM} == CUSTOM_OPS
    assert len(codes) > len(CUSTOM_OPS)


def test_int8_matmuls_stand_beside_custom_ops(tftext_file, vocabulary):
    """litert-quantizer leaves the tables of the ops as they are."""
    import tensorflow as tf
    import tensorflow_text as tf_text
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.interpreter import InterpreterWithCustomOps

    from edgedistil_converters import QuantizationPlan
    from edgedistil_converters.flatbuffer import convert_module

    tokenizer = tftext_file("lowercase").tokenizer
    generator = np.random.default_rng(0)
    embeddings = tf.constant(generator.normal(size=(len(vocabulary), 64)).astype(np.float32))
    kernel = tf.constant(generator.normal(size=(64, 32)).astype(np.float32))

    def classify(text):
        ids = tokenizer(text)
        rows = tf.gather(embeddings, ids[0])
        with tf.name_scope("logits"):  # a site: only such matmuls are quantized
            logits = tf.matmul(rows, kernel)
        return {"token_ids": ids, "logits": -logits}

    module = tf.Module()
    module.functions = {
        "classify_text": tf.function(classify, input_signature=[tf.TensorSpec([1], tf.string, name="text")])
    }
    module.weight_dtypes = {"logits": "int8"}
    flatbuffer = convert_module(module, QuantizationPlan("int8"), {}, has_custom_ops=True)
    [subgraph] = schema.ModelT.InitFromPackedBuf(flatbuffer, 0).subgraphs
    assert any(tensor.type == schema.TensorType.INT8 for tensor in subgraph.tensors)
    interpreter = InterpreterWithCustomOps(
        model_content=flatbuffer, custom_op_registerers=tf_text.tflite_registrar.SELECT_TFTEXT_OPS
    )
    outputs = interpreter.get_signature_runner("classify_text")(text=np.array([b"turn on the Light"], object))
    assert outputs["token_ids"][0].tolist() == tftext_file("lowercase").ids("turn on the Light")
    due = embeddings.numpy()[outputs["token_ids"][0]] @ kernel.numpy()
    np.testing.assert_allclose(-outputs["logits"], due, atol=0.5)  # of standard deviation 8


def test_special_tokens_in_strings_are_refused(tokenizer_file):
    from edgedistil_converters.tokenizer.settings import read_tokenizer
    from edgedistil_converters.tokenizer.tftext import TFTextTokenizer

    with pytest.raises(ConversionError, match="special_tokens_in_strings=True. Pass `tokenizer`"):
        TFTextTokenizer(*read_tokenizer(tokenizer_file("special_tokens").preprocessor))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["turn"], "TF-Text refuses the vocabulary: .*unique"),
        (["".join(map(chr, range(1, 30)))], "leaves 2 of them"),
    ],
)
def test_vocabularies_that_are_refused(tokenizer_file, more, message):
    from edgedistil_converters.tokenizer.settings import read_tokenizer
    from edgedistil_converters.tokenizer.tftext import TFTextTokenizer

    tokenizer, vocabulary = read_tokenizer(tokenizer_file("lowercase").preprocessor)
    vocabulary = (*vocabulary, *more)
    with pytest.raises(ConversionError, match=message):
        TFTextTokenizer(dataclasses.replace(tokenizer, vocabulary_size=len(vocabulary)), vocabulary)


def look_up(units, key):
    """What TF-Text's reader of darts-clone tries finds, by the layout of the units; None if it finds nothing.

    The indices must stay within the array: older versions of that reader do not check.
    """

    def children(node):
        unit = int(units[node])
        return node ^ (unit >> 10 << ((unit & 0x200) >> 6))

    node = 0
    for byte in key:
        node = children(node) ^ byte
        if units[node] & 0x800000FF != byte:
            return None
    return int(units[children(node)]) & 0x7FFFFFFF if units[node] & 0x100 else None


KEYS = st.binary(min_size=1, max_size=4).filter(lambda key: 0 not in key) | st.text(
    "aéß東京日👍💡", min_size=1, max_size=2
).map(str.encode)


@PROPERTY
@given(st.dictionaries(KEYS, st.integers(0, 3) | st.integers(0, LARGEST_VALUE), max_size=60), st.lists(KEYS))
@example({b"a": 0}, [b"b", b"aa"])
@example({b"a": 5, b"ab": 5}, [b"abb"])
@example({bytes([a, b]): 7 for a in range(1, 256) for b in range(1, 256)}, [b"abc"])
@example({}, [b"a"])
def test_trie_gives_back_what_was_put_in(values, others):
    units = build_darts(values)
    assert units.dtype == np.uint32 and len(units) % 256 == 0
    assert {key: look_up(units, key) for key in (*values, *others)} == {
        key: values.get(key) for key in (*values, *others)
    }


def test_equal_subtrees_are_stored_once():
    characters = [chr(c).encode() for c in range(0x4E00, 0xA000)]
    assert len(build_darts(dict.fromkeys(characters, 7))) <= 1024
    assert len(build_darts({c: i for i, c in enumerate(characters)})) > 2 * len(characters)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (b"", 1, "at least one byte"),
        (b"a\0", 1, "no zero byte. Received: b'a"),
        (b"a", -1, "Received: -1 for b'a'"),
        (b"a", LARGEST_VALUE + 1, "from 0 to 2147483647"),
    ],
)
def test_keys_and_values_that_a_trie_cannot_hold(key, value, message):
    with pytest.raises(ValueError, match=message):
        build_darts({b"b": 1, key: value})


@pytest.fixture(scope="module")
def normalize():
    """`normalize(table, [b"text"])` by TF-Text's op."""
    import tensorflow as tf
    import tensorflow_text as tf_text

    def run(table, texts):
        return tf_text.FastBertNormalizer(model_buffer=table).normalize(tf.constant(texts, tf.string)).numpy().tolist()

    return run


def test_table_replaces_characters(normalize):
    characters = st.sampled_from("abAB,é東京👍\x01\0")

    @PROPERTY
    @given(st.dictionaries(characters, st.text("ab é東", max_size=8), min_size=1), st.text(characters, max_size=20))
    @example({"a": ""}, "aba")
    @example({"\0": "end"}, "a\0b")
    @example({"a": "b" * 63}, "aa")
    def check(replacements, text):
        table = build_normalizer_table({key.encode(): value.encode() for key, value in replacements.items()})
        assert normalize(table, [text.encode()]) == ["".join(replacements.get(c, c) for c in text).encode()]

    check()


def test_table_of_all_that_tf_text_replaces(normalize):
    """TF-Text's own table, character by character, in our encoding."""
    import tensorflow_text as tf_text

    characters = [chr(c).encode() for c in range(1, 0x30000) if not 0xD800 <= c < 0xE000]
    theirs = normalize(tf_text.build_fast_bert_normalizer_model(True), characters)
    replacements = {c: n for c, n in zip(characters, theirs, strict=True) if c != n}
    assert len(replacements) > 15_000
    assert normalize(build_normalizer_table(replacements), characters) == theirs


def test_ill_formed_sequences_are_all_there_are(normalize):
    sequences = list(ill_formed_sequences())
    assert len(set(sequences)) == len(sequences)
    assert {sequence.decode("utf-8", "replace") for sequence in sequences} == {"\ufffd"}
    table = build_normalizer_table(dict.fromkeys(sequences, "\ufffd".encode()))
    generator = random.Random(3)
    bytes_ = [*range(256), *b"\xe6\x9d\xb1\xf0\x9f\x92\xa1\xed\xa0\xf4\x8f\xe0" * 20]
    texts = [bytes(generator.choices(bytes_, k=generator.randint(0, 10))) for _ in range(20_000)]
    assert normalize(table, texts) == [text.decode("utf-8", "replace").encode() for text in texts]


def test_too_long_a_replacement():
    with pytest.raises(ConversionError, match="at most 63 bytes"):
        build_normalizer_table({b"a": b"b" * 64})
