"""`convert_classifier`: a whole verified artefact or an error, and nothing in between."""

import errno
import json
import os
import stat
import zipfile
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from edgedistil_converters import QuantizationPlan, convert_classifier
from edgedistil_converters.edge_graph.weights import read_weights
from edgedistil_converters.output import atomic_path, check_output
from edgedistil_converters.quantization.plan import Tolerance
from edgedistil_converters.tokenizer.graph import GraphTokenizer
from edgedistil_converters.tokenizer.settings import read_tokenizer
from edgedistil_converters.verification import (
    VERIFICATION_TEXTS,
    answer_with_keras,
    choose_golden_cases,
    verify,
)
from edgedistil_runtime import GoldenCase, TextClassifier, read_artifact
from edgedistil_runtime.artifact import artifact_bytes
from edgedistil_runtime.errors import ArtifactError, ConversionError, OutputError, ParityError, StructureError

FP32 = QuantizationPlan("fp32")
ROOM_FOR_ROUNDING = 1e-5


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def probabilities(classifier, text):
    features = classifier.preprocessor([text])
    outputs = np.asarray(classifier({k: np.asarray(features[k]) for k in ("token_ids", "padding_mask")}), np.float64)
    return (np.exp(outputs) / np.exp(outputs).sum())[0]


@pytest.fixture
def finished(convert, monkeypatch):
    """Lets a conversion to fp32 take the session's flatbuffer, or another: `finished(flatbuffer)`."""
    whole = convert("fp32").artifact.flatbuffer()  # before anything is replaced
    module = "edgedistil_converters.convert"
    monkeypatch.setattr(f"{module}.TextClassifierModule", lambda *_, **__: None)

    def use(flatbuffer):
        monkeypatch.setattr(f"{module}.convert_module", lambda *_, **__: flatbuffer)

    use(whole)
    return use


@pytest.mark.parametrize("scheme", ["fp32", "fp16", "int8"])
def test_the_runtime_replays_the_artefact_and_answers(convert, classifier, labels, scheme):
    conversion = convert(scheme)
    tolerance = {"fp32": ROOM_FOR_ROUNDING, "fp16": 5e-3, "int8": 0.06}[scheme]
    with TextClassifier(conversion.artifact.path) as candidate:
        assert candidate.runtime_info.golden_cases == len(conversion.artifact.metadata.golden_cases) > 0
        for text in ("turn on the light", "", "NASA in Paris", "東京!"):
            answer = candidate.classify(text)
            due = probabilities(classifier, text)
            assert tuple(answer.probabilities) == labels
            np.testing.assert_allclose(list(answer.probabilities.values()), due, rtol=0, atol=tolerance)
            if np.sort(due)[-1] - np.sort(due)[-2] > 2 * tolerance:
                assert answer.label == labels[int(due.argmax())]


def test_the_metadata_say_what_is_in_the_file(convert, classifier, labels, vocabulary):
    conversion = convert("int8")
    artifact, metadata = conversion.artifact, conversion.artifact.metadata
    assert artifact == read_artifact(artifact.path)
    assert artifact.vocabulary == vocabulary
    assert metadata.name == "int8"
    assert metadata.labels == labels
    assert metadata.target == "cpu"
    assert metadata.tokenizer == read_tokenizer(classifier.preprocessor)[0]
    assert metadata.quantization == QuantizationPlan("int8").to_dict()
    assert metadata.tolerance == QuantizationPlan("int8").tolerance.largest
    assert metadata.parity == conversion.parity.to_dict()
    assert metadata.model["parameters"] == classifier.count_params()
    assert metadata.model["num_classes"] == 3
    assert metadata.oldest_runtime == conversion.structure.minimum_runtime == "2.17.0"
    assert metadata.versions == {
        name: version(name)
        for name in ("edgedistil-converters", "tensorflow", "keras", "keras-hub", "ai-edge-litert", "litert-quantizer")
    }
    assert metadata.flatbuffer_size == len(artifact.flatbuffer()) < artifact.size == artifact.path.stat().st_size
    with zipfile.ZipFile(artifact.path) as archive:
        assert archive.testzip() is None
        assert json.loads(archive.read("edgedistil.json"))["labels"] == list(labels)
        assert archive.read("labels.txt").decode() == "".join(f"{label}\n" for label in labels)


def test_the_parity_report_is_what_was_measured(convert):
    for scheme in ("fp32", "fp16", "int8"):
        parity, tolerance = convert(scheme).parity, QuantizationPlan(scheme).tolerance
        assert parity.texts == len(VERIFICATION_TEXTS)
        assert 0 < parity.mean_difference < parity.largest_difference <= tolerance.largest
        assert parity.mean_difference <= tolerance.mean
        assert 0.8 <= parity.label_agreement <= 1
    assert convert("fp32").parity.label_agreement == 1
    assert convert("fp32").parity.largest_difference < ROOM_FOR_ROUNDING
    assert convert("int8").parity.largest_difference > 1e-4  # int8 is not fp32 under another name


def test_golden_cases_are_answers_of_keras_and_cover(convert, classifier, labels):
    cases = convert("fp32").artifact.metadata.golden_cases
    answers = answer_with_keras(classifier, VERIFICATION_TEXTS)
    assert set(cases) <= set(answers)
    assert len({case.text for case in cases}) == len(cases) == 8
    lengths = [len(answer.token_ids) for answer in answers]
    assert {min(lengths), max(lengths)} <= {len(case.token_ids) for case in cases}
    assert {int(np.argmax(case.probabilities)) for case in cases} == {0, 1, 2}
    for case in cases:
        np.testing.assert_allclose(case.probabilities, probabilities(classifier, case.text), rtol=0, atol=1e-6)


def test_golden_cases_cover_a_rare_label_and_few_answers():
    common = [GoldenCase(f"text {i}", (2, *range(5, 5 + i % 4), 3), (0.9, 0.1)) for i in range(30)]
    rare = GoldenCase("rare", (2, 5, 3), (0.1, 0.9))
    chosen = choose_golden_cases([*common, rare])
    assert rare in chosen
    assert len(chosen) == 8
    assert choose_golden_cases([rare]) == (rare,)
    many = [GoldenCase(f"{i}", (2, 3), tuple(np.eye(20)[i].tolist())) for i in range(20)]
    assert len(choose_golden_cases(many)) == 8


def test_keras_answers_do_not_depend_on_their_batch(classifier):
    texts = ["a", "turn on the light " * 9, "", "light\0s"] * 5
    answers = answer_with_keras(classifier, texts)
    assert [answer.text for answer in answers] == texts
    for text, answer in zip(texts, answers, strict=True):
        [alone] = answer_with_keras(classifier, [text])
        assert answer.token_ids == alone.token_ids
        np.testing.assert_allclose(answer.probabilities, alone.probabilities, rtol=0, atol=1e-6)
        assert sum(answer.probabilities) == pytest.approx(1)
    assert answers[3].token_ids == answer_with_keras(classifier, ["light"])[0].token_ids


def test_a_file_is_written_with_its_name_and_the_callers_texts(finished, classifier, labels, tmp_path):
    stages = []
    conversion = convert_classifier(
        classifier,
        list(labels),
        str(tmp_path / "model.tflite"),
        plan=FP32,
        name="my model",
        verification_texts=["one more text", "one more text", ""],
        on_stage=stages.append,
    )
    assert conversion.artifact.path == tmp_path / "model.tflite"
    assert conversion.artifact.metadata.name == "my model"
    assert conversion.parity.texts == len(VERIFICATION_TEXTS) + 1
    assert len(stages) == len(set(stages)) >= 4
    assert names_in(tmp_path) == ["model.tflite"]
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((tmp_path / "model.tflite").stat().st_mode) == 0o666 & ~mask


def test_equal_conversions_write_equal_files(finished, convert, classifier, labels, tmp_path):
    for name in ("a", "b"):
        convert_classifier(classifier, labels, tmp_path / name, plan=FP32, name="fp32")
    content = (tmp_path / "a").read_bytes()
    assert content == (tmp_path / "b").read_bytes() == convert("fp32").artifact.path.read_bytes()


# --- what is refused before any work is done


@pytest.fixture
def no_conversion(monkeypatch):
    """A conversion that must not be reached."""

    def fail(*arguments):
        raise AssertionError("the converter was called")

    monkeypatch.setattr("edgedistil_converters.convert.convert_module", fail)


def refused(error, message, *arguments, **options):
    with pytest.raises(error, match=message) as caught:
        convert_classifier(*arguments, **options)
    return caught.value


def test_an_existing_file_is_kept_without_force(finished, classifier, labels, tmp_path):
    target = tmp_path / "model.tflite"
    target.write_text("precious")
    refused(OutputError, "exists. Choose another output, or pass --force", classifier, labels, target, plan=FP32)
    assert target.read_text() == "precious"
    convert_classifier(classifier, labels, target, plan=FP32, force=True)
    assert read_artifact(target).metadata.labels == labels


def test_outputs_that_cannot_be_written(no_conversion, classifier, labels, tmp_path):
    refused(OutputError, "folder does not exist", classifier, labels, tmp_path / "missing" / "model.tflite")
    refused(OutputError, "Received the folder", classifier, labels, tmp_path)
    refused(OutputError, "Received the folder", classifier, labels, tmp_path, force=True)
    (tmp_path / "file").write_text("")
    refused(OutputError, "folder does not exist", classifier, labels, tmp_path / "file" / "model.tflite")
    assert names_in(tmp_path) == ["file"]


@pytest.mark.parametrize(
    "labels", [(), ("a", "b"), ("a", "b", "c", "d"), ("a", "b", "a")], ids=["none", "two", "four", "twice the same"]
)
def test_labels_that_do_not_fit(no_conversion, classifier, labels, tmp_path):
    error = refused(ConversionError, "one distinct label for each", classifier, labels, tmp_path / "model.tflite")
    assert f"Received {len(labels)} labels" in str(error)


def test_a_classifier_without_preprocessor(no_conversion, make_classifier, labels, tmp_path):
    classifier = make_classifier()
    classifier.preprocessor = None
    refused(ConversionError, "needs its preprocessor", classifier, labels, tmp_path / "model.tflite")


def test_a_vocabulary_of_more_pieces_than_the_table_has_rows(
    no_conversion, make_classifier, make_preprocessor, vocabulary, labels, tmp_path
):
    classifier = make_classifier()
    classifier.preprocessor = make_preprocessor([*vocabulary, "new"])
    message = f"has {len(vocabulary) + 1} pieces and the embedding table {len(vocabulary)} rows"
    refused(ConversionError, message, classifier, labels, tmp_path / "model.tflite")


def test_a_sequence_length_of_more_positions_than_there_are(no_conversion, make_classifier, labels, tmp_path):
    classifier = make_classifier(sequence_length=33)
    refused(ConversionError, "at most .* 32. Received: 33", classifier, labels, tmp_path / "model.tflite")


def test_weights_that_diverged(no_conversion, make_classifier, labels, tmp_path):
    classifier = make_classifier()
    classifier.output_dense.bias.assign([0, np.nan, 0])
    refused(ConversionError, "not finite", classifier, labels, tmp_path / "model.tflite")
    assert names_in(tmp_path) == []


def test_a_float_file_under_an_int8_plan(finished, classifier, labels, tmp_path):
    refused(StructureError, "int8 due, float32 found", classifier, labels, tmp_path / "model.tflite")
    assert names_in(tmp_path) == []


# --- what goes wrong in the middle


def stop_verifying(error):
    def patch(monkeypatch):
        def verify(*arguments):
            raise error

        monkeypatch.setattr("edgedistil_converters.convert.verify", verify)

    return patch


def fill_the_disk(number):
    """Writes of a temporary file end half-way."""

    def patch(monkeypatch):
        write = Path.write_bytes

        def write_half(path, content):
            if path.suffix != ".part":
                return write(path, content)
            write(path, content[: len(content) // 2])
            raise OSError(number, os.strerror(number), str(path))

        monkeypatch.setattr(Path, "write_bytes", write_half)

    return patch


@pytest.mark.parametrize(
    ("patch", "error"),
    [
        (stop_verifying(ParityError("differs")), ParityError),
        (stop_verifying(KeyboardInterrupt()), KeyboardInterrupt),
        (stop_verifying(MemoryError()), MemoryError),
        (fill_the_disk(errno.ENOSPC), OutputError),
        (fill_the_disk(errno.EDQUOT), OutputError),
        (fill_the_disk(errno.EIO), OSError),
    ],
    ids=["parity", "Ctrl-C", "memory", "disk full", "quota", "disk broken"],
)
@pytest.mark.parametrize("is_there", [True, False], ids=["replacing", "new"])
def test_nothing_half_written_is_left(finished, classifier, labels, tmp_path, monkeypatch, patch, error, is_there):
    target = tmp_path / "model.tflite"
    if is_there:
        target.write_text("precious")
    with monkeypatch.context() as context:
        patch(context)
        with pytest.raises(error):
            convert_classifier(classifier, labels, target, plan=FP32, force=True)
    assert names_in(tmp_path) == (["model.tflite"] if is_there else [])
    assert not is_there or target.read_text() == "precious"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS], ids=errno.errorcode.get)
def test_a_folder_in_which_no_file_can_be_made(finished, classifier, labels, tmp_path, monkeypatch, number):
    def mkstemp(**options):
        raise OSError(number, os.strerror(number), str(options["dir"]))

    monkeypatch.setattr("edgedistil_converters.output.tempfile.mkstemp", mkstemp)
    error = refused(OutputError, "No file can be made in", classifier, labels, tmp_path / "model.tflite", plan=FP32)
    assert os.strerror(number) in str(error)


def test_a_name_as_long_as_names_can_be(tmp_path):
    target = tmp_path / ("n" * 248 + ".tflite")
    with atomic_path(target) as temporary:
        temporary.write_text("new")
    assert target.read_text() == "new"


def test_a_pipe_or_device_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for force in (True, False):
        with pytest.raises(OutputError, match="regular file"):
            check_output(tmp_path / "pipe", force=force)
    assert (tmp_path / "pipe").is_fifo()


def test_the_target_appears_when_it_is_whole(tmp_path):
    target = tmp_path / "model.tflite"
    with atomic_path(target) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".part"
        temporary.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new"
    assert names_in(tmp_path) == ["model.tflite"]


def test_check_output_allows_what_can_be_written(tmp_path):
    (tmp_path / "there").write_text("")
    check_output(tmp_path / "new", force=False)
    check_output(tmp_path / "there", force=True)
    assert names_in(tmp_path) == ["there"]


# --- what verification finds


def tampered(flatbuffer, array, change):
    """The flatbuffer with one of its constants changed."""
    old = np.ascontiguousarray(array).tobytes()
    assert flatbuffer.count(old) == 1
    return flatbuffer.replace(old, np.ascontiguousarray(change(array.copy())).astype(array.dtype).tobytes())


def test_the_untampered_graph_passes(finished, convert, classifier, labels, tmp_path):
    finished(tampered(convert("fp32").artifact.flatbuffer(), read_weights(classifier).logits.bias, lambda a: a))
    assert convert_classifier(classifier, labels, tmp_path / "model.tflite", plan=FP32).parity.label_agreement == 1


@pytest.mark.parametrize(
    "constant",
    [
        lambda w: w.logits.bias,
        lambda w: w.logits.kernel.T,
        lambda w: w.token_embeddings,
        lambda w: w.position_embeddings[:24],
        lambda w: w.layers[0].attention_output.kernel.T,
        lambda w: w.layers[-1].output.kernel.T,
    ],
    ids=["logits bias", "logits", "tokens", "positions", "attention", "feed-forward"],
)
def test_a_tampered_graph_is_a_parity_error(finished, convert, classifier, labels, tmp_path, constant):
    content = convert("fp32").artifact.flatbuffer()
    finished(
        tampered(
            content,
            constant(read_weights(classifier)),
            lambda array: array + np.linspace(-1, 1, array.size).reshape(array.shape),
        )
    )
    error = refused(
        ParityError, "differ from those of the Keras classifier", classifier, labels, tmp_path / "m.tflite", plan=FP32
    )
    assert "--quantize fp16" in str(error)
    assert names_in(tmp_path) == []


def test_a_tampered_batch_signature_is_a_parity_error(finished, convert, classifier, labels, tmp_path):
    """Without the score that masks padding, `classify_tokens` is wrong on every padded row."""
    content = convert("fp32").artifact.flatbuffer()
    finished(tampered(content, np.array([-120], np.float32), np.zeros_like))
    refused(ParityError, "differ", classifier, labels, tmp_path / "m.tflite", plan=FP32)


def test_a_tampered_tokenizer_is_a_parity_error(finished, convert, classifier, labels, tmp_path):
    def swap_two(token):
        used = np.flatnonzero(token >= 0)
        one, other = (slot for slot in used if vocabulary[token[slot]] in ("h", "##e"))
        token[[one, other]] = token[[other, one]]
        return token

    settings, vocabulary = read_tokenizer(classifier.preprocessor)
    finished(tampered(convert("fp32").artifact.flatbuffer(), GraphTokenizer(settings, vocabulary)._token, swap_two))
    error = refused(
        ParityError, "other token ids than KerasHub's", classifier, labels, tmp_path / "m.tflite", plan=FP32
    )
    assert "Expected: [2, " in str(error)
    assert names_in(tmp_path) == []


@pytest.fixture
def rewritten(convert, tmp_path):
    """Writes the fp32 artefact with another flatbuffer: `rewritten(flatbuffer)`."""

    def write(flatbuffer):
        artifact = convert("fp32").artifact
        path = tmp_path / "rewritten.tflite"
        path.write_bytes(artifact_bytes(flatbuffer, artifact.metadata, artifact.vocabulary))
        return path

    return write


def test_verify_measures_and_judges(convert, classifier):
    path = convert("fp32").artifact.path
    answers = answer_with_keras(classifier, ["light", "music", "turn it on"])
    report = verify(path, answers, Tolerance(1e-4, 1e-5))
    assert (report.texts, report.label_agreement) == (3, 1)
    p = answers[0].probabilities
    shifted = [replace(answers[0], probabilities=(p[0] + 0.02, p[1] - 0.02, p[2])), *answers[1:]]
    assert verify(path, shifted, Tolerance(0.03, 0.03)).largest_difference == pytest.approx(0.02, abs=1e-5)
    with pytest.raises(ParityError, match=r"'light' differ .* by 0.02; 0.01 is allowed"):
        verify(path, shifted, Tolerance(0.01, 0.01))
    with pytest.raises(ParityError, match="on average; .* is allowed"):
        verify(path, shifted, Tolerance(0.03, 0.001))
    with pytest.raises(ParityError, match="by nan"):
        verify(path, [replace(answers[0], probabilities=(float("nan"),) * 3)], Tolerance(1, 1))
    with pytest.raises(ParityError, match="other token ids"):
        verify(path, [replace(answers[0], token_ids=(*answers[0].token_ids, 3))], Tolerance(1, 1))


def test_a_label_may_flip_between_near_equals_alone(convert, classifier):
    path = convert("fp32").artifact.path
    [answer] = answer_with_keras(classifier, ["turn on the light"])
    given = np.array(answer.probabilities)
    best, second = np.argsort(given)[-1:-3:-1]
    # A reference that prefers the second label by a little, and differs by the same little and the gap between both.
    due = given.copy()
    due[second] = given[best] + 0.01
    difference = float(due[second] - given[second])
    flipped = [replace(answer, probabilities=tuple(due.tolist()))]
    assert verify(path, flipped, Tolerance(difference + 1e-4, 1)).label_agreement == 0
    # One that prefers it by more than the tolerance, with the difference spread over both.
    shift = given[best] - given[second] + 0.02
    due = given.copy()
    due[second] += shift
    due[best] -= shift
    flipped = [replace(answer, probabilities=tuple(due.tolist()))]
    with pytest.raises(ParityError, match=r"flips from number \d"):
        verify(path, flipped, Tolerance(float(shift) + 1e-4, 1))


def test_a_damaged_artefact_is_not_verified(convert, classifier, tmp_path):
    content = bytearray(convert("fp32").artifact.path.read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "damaged.tflite").write_bytes(content)
    with pytest.raises(ArtifactError, match="damaged"):
        verify(tmp_path / "damaged.tflite", answer_with_keras(classifier, ["light"]), Tolerance(1, 1))


@pytest.mark.parametrize("labels", ["abc", ["a", "", "c"], ["a", "b\nc", "d"], ["a", 1, "c"]])
def test_labels_that_are_no_labels(no_conversion, classifier, tmp_path, labels):
    refused(ConversionError, "list of strings", classifier, labels, tmp_path / "m.tflite")


def test_one_output_without_sigmoid(no_conversion, make_classifier, tmp_path):
    refused(ConversionError, "softmax of one number", make_classifier(num_classes=1), ["spam"], tmp_path / "m.tflite")


@pytest.mark.parametrize("token", ["[SEP]", "[PAD]", "[CLS]"])
def test_an_unknown_token_that_is_a_frame(make_preprocessor, vocabulary, token):
    with pytest.raises(ConversionError, match="out-of-vocabulary token must not be"):
        read_tokenizer(make_preprocessor(list(vocabulary), oov_token=token))


def test_a_lone_surrogate_in_the_callers_texts_is_a_replacement_character(classifier):
    [answer] = answer_with_keras(classifier, ["light \ud800 on"])
    assert answer.text == "light \ufffd on"


def test_a_folder_that_may_not_be_written_is_refused_before_any_work(
    no_conversion, classifier, labels, tmp_path, monkeypatch
):
    monkeypatch.setattr("edgedistil_converters.output.os.access", lambda *_: False)
    refused(OutputError, "cannot be written to", classifier, labels, tmp_path / "m.tflite")
