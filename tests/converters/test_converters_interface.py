"""What a file takes: one text, a pair, a string for TF-Text's ops, or token ids; each converted, verified and run."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from edgedistil_converters.interface import ModelInterface
from edgedistil_runtime import InputError, TextClassifier
from edgedistil_runtime.errors import ConversionError, ParityError

WORDS = ["turn", "on", "lights", "playing", "qqq", "日本", "é", "a!b", "e\u0301", "straße", "[SEP]", "\0", " "]
SEGMENTS = st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join)


@pytest.fixture(scope="module")
def use(classifier, labels, tmp_path_factory):
    """`use(interface, classifier=..., scheme="fp32")`: the conversion and a classifier that runs it."""
    from edgedistil_converters import QuantizationPlan, convert_classifier
    from edgedistil_converters.verification.texts import VERIFICATION_TEXTS

    opened = []

    def convert(interface, classifier=classifier, scheme="fp32"):
        path, plan = tmp_path_factory.mktemp("interfaces") / "model.tflite", QuantizationPlan(scheme)
        texts = VERIFICATION_TEXTS if plan.needs else ()
        conversion = convert_classifier(
            classifier, labels, path, plan=plan, interface=interface, calibration_texts=texts
        )
        opened.append(TextClassifier(path))
        return conversion, opened[-1]

    yield convert
    for runner in opened:
        runner.close()


@pytest.fixture(scope="module", params=["round_robin", pytest.param("waterfall", marks=pytest.mark.slow)])
def pairs(request, make_classifier, use):
    """A classifier of pairs that are cut in one of the two ways, its conversion, and what runs it."""
    classifier = make_classifier()
    classifier.preprocessor.truncate = request.param
    return classifier, *use(ModelInterface(takes_text_pair=True), classifier)


def test_pairs_are_packed_as_the_preprocessor_packs_them(pairs):
    classifier, conversion, runner = pairs
    assert conversion.artifact.metadata.tokenizer.truncate == classifier.preprocessor.truncate
    assert sorted(conversion.structure.signatures) == [
        "classify_text",
        "classify_text_pair",
        "classify_tokens",
        "tokenize",
        "tokenize_pair",
    ]
    assert any(case.text_pair is not None for case in conversion.artifact.metadata.golden_cases)
    assert any(case.text_pair is None for case in conversion.artifact.metadata.golden_cases)
    check_pairs(classifier.preprocessor, runner.tokenize)


def test_the_graph_cuts_pairs_by_the_waterfall(make_preprocessor, vocabulary):
    """`make test-slow` converts a file of it; it differs from the other one in the arithmetic of two lengths."""
    import tensorflow as tf

    from edgedistil_converters.tokenizer.graph import GraphTokenizer
    from edgedistil_converters.tokenizer.settings import read_tokenizer
    from edgedistil_runtime.text_bytes import encode_text

    preprocessor = make_preprocessor(list(vocabulary))
    preprocessor.truncate = "waterfall"
    specs = [tf.TensorSpec([None], tf.int32)] * 2
    pair = tf.function(GraphTokenizer(*read_tokenizer(preprocessor)).pair, input_signature=specs, autograph=False)
    check_pairs(preprocessor, lambda first, second: pair(encode_text(first), encode_text(second)).numpy()[0].tolist())


def check_pairs(preprocessor, tokenize):
    """Compares the token ids of pairs with those of KerasHub's preprocessor."""

    @settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(first=SEGMENTS, second=SEGMENTS)
    @example(first="", second="")
    @example(first="a " * 40, second="")
    @example(first="", second="a " * 40)
    @example(first="a " * 40, second="b " * 40)
    @example(first="a " * 10, second="b " * 11)
    @example(first="a " * 11, second="b " * 10)
    @example(first="a " * 11, second="b " * 11)
    def equal(first, second):
        whole = [text.split("\0")[0] for text in (first, second)]
        row = np.asarray(preprocessor(x=([whole[0]], [whole[1]]))["token_ids"])[0]
        due = np.trim_zeros(row, "b").tolist()
        assert tokenize(first, second) == due

    equal()


def test_probabilities_of_pairs(pairs):
    from edgedistil_converters.verification.keras_answers import answer_with_keras
    from edgedistil_converters.verification.texts import VERIFICATION_PAIRS

    classifier, _, runner = pairs
    answers = answer_with_keras(classifier, VERIFICATION_PAIRS)
    assert [(answer.text, answer.text_pair) for answer in answers] == list(VERIFICATION_PAIRS)
    received = runner.classify_batch(*zip(*VERIFICATION_PAIRS, strict=True))
    for answer, classification in zip(answers, received, strict=True):
        assert list(classification.probabilities.values()) == pytest.approx(answer.probabilities, abs=1e-4)


def test_texts_and_pairs_can_be_answered_in_one_list(classifier):
    from edgedistil_converters.verification.keras_answers import answer_with_keras

    mixed = answer_with_keras(classifier, ["light", ("light", "music"), "music", ("", "light")])
    assert [(answer.text, answer.text_pair) for answer in mixed] == [
        ("light", None),
        ("light", "music"),
        ("music", None),
        ("", "light"),
    ]
    for i, alone in ((0, "light"), (1, ("light", "music")), (3, ("", "light"))):
        [due] = answer_with_keras(classifier, [alone])
        assert mixed[i].token_ids == due.token_ids
        assert mixed[i].probabilities == pytest.approx(due.probabilities, abs=1e-6)


def test_a_wrong_pair_is_a_parity_error(pairs, tmp_path):
    from edgedistil_converters.quantization.schemes import Tolerance
    from edgedistil_converters.verification.keras_answers import answer_with_keras
    from edgedistil_converters.verification.verify import verify

    classifier, conversion, _ = pairs
    [answer] = answer_with_keras(classifier, [("turn on the light", "play music")])
    with pytest.raises(ParityError, match="other token ids"):
        verify(conversion.artifact.path, [replace(answer, text_pair="music play")], Tolerance(1, 1))


def test_single_texts_alone_by_default(convert):
    conversion = convert("fp32")
    assert sorted(conversion.structure.signatures) == ["classify_text", "classify_tokens", "tokenize"]
    with TextClassifier(conversion.artifact.path) as runner, pytest.raises(InputError, match="`takes_text_pair`"):
        runner.classify("a", "b")


@pytest.mark.parametrize("scheme", ["fp32", "fp16", "int8"])
def test_token_ids_in(use, classifier, scheme):
    from edgedistil_converters.verification.keras_answers import answer_with_keras
    from edgedistil_converters.verification.texts import VERIFICATION_TEXTS

    conversion, runner = use(ModelInterface("none"), scheme=scheme)
    assert sorted(conversion.structure.signatures) == ["classify_tokens"]
    assert conversion.artifact.metadata.tokenizer.kind == "none"
    assert conversion.artifact.vocabulary == tuple(classifier.preprocessor.tokenizer.get_vocabulary())
    answers = answer_with_keras(classifier, VERIFICATION_TEXTS)
    received = runner.classify_tokens([answer.token_ids for answer in answers])
    assert [r.label for r in received].count(received[0].label) < len(received)
    tolerance = conversion.artifact.metadata.tolerance
    for answer, classification in zip(answers, received, strict=True):
        assert list(classification.probabilities.values()) == pytest.approx(answer.probabilities, abs=tolerance)


@pytest.mark.parametrize("scheme", ["fp32", "int8", "int8-static"])
def test_tensorflow_texts_ops(use, scheme):
    conversion, runner = use(ModelInterface("tftext"), scheme=scheme)
    assert conversion.structure.custom_ops
    assert set(conversion.structure.matmul_weights) == {"float32" if scheme == "fp32" else "int8"}
    assert conversion.artifact.metadata.tokenizer.kind == "tftext"
    assert runner.runtime_info.backend == "ai-edge-litert"
    assert [tensor.dtype for tensor in conversion.structure.signatures["classify_text"][0]] == ["string"]
    assert conversion.parity.texts > 2 * len(conversion.parity.differing_texts)
    assert conversion.artifact.metadata.parity["differing_texts"] == list(conversion.parity.differing_texts)
    assert runner.classify("turn on the light").label
    assert runner.classify_batch(["light", "music"]) == [runner.classify("light"), runner.classify("music")]


def test_texts_that_tensorflow_text_reads_otherwise_are_named(classifier, labels, tmp_path):
    from edgedistil_converters import QuantizationPlan, convert_classifier

    composing = "turn e\u0301e on"  # the tiny vocabulary has é as a continuation
    conversion = convert_classifier(
        classifier,
        labels,
        tmp_path / "model.tflite",
        plan=QuantizationPlan("fp32"),
        interface=ModelInterface("tftext"),
        verification_texts=[composing],
    )
    assert composing in conversion.parity.differing_texts
    assert composing not in [case.text for case in conversion.artifact.metadata.golden_cases]


@pytest.mark.parametrize("scheme", ["fp32", "int8"])
def test_the_form_that_mediapipe_reads(use, classifier, scheme):
    from edgedistil_converters.verification.keras_answers import answer_with_keras
    from edgedistil_converters.verification.texts import VERIFICATION_TEXTS

    conversion, runner = use(ModelInterface("none", metadata="mediapipe"), scheme=scheme)
    assert sorted(conversion.structure.signatures) == ["serving_default"]
    answers = answer_with_keras(classifier, VERIFICATION_TEXTS)
    received = runner.classify_tokens([answer.token_ids for answer in answers])
    tolerance = conversion.artifact.metadata.tolerance
    for answer, classification in zip(answers, received, strict=True):
        assert list(classification.probabilities.values()) == pytest.approx(answer.probabilities, abs=tolerance)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tokenizer": "bert"}, "one of builtin, tftext, none. Received: 'bert'"),
        ({"tokenizer": "none", "metadata": "tasks"}, "one of mediapipe. Received: 'tasks'"),
        ({"metadata": "mediapipe"}, r"brings its own tokenizer.*Pass `tokenizer`='none'"),
        ({"tokenizer": "tftext", "takes_text_pair": True}, "`takes_text_pair`. need the tokenizer builtin"),
        ({"tokenizer": "none", "takes_text_pair": True}, "`takes_text_pair`. need the tokenizer builtin"),
    ],
    ids=str,
)
def test_impossible_interfaces(arguments, message):
    with pytest.raises(ConversionError, match=message):
        ModelInterface(**arguments)


def test_a_pair_needs_room(make_classifier, labels, tmp_path):
    from edgedistil_converters import convert_classifier

    with pytest.raises(ConversionError, match="at least 3"):
        convert_classifier(
            make_classifier(sequence_length=2),
            labels,
            tmp_path / "model.tflite",
            interface=ModelInterface(takes_text_pair=True),
        )
