"""What `convert_classifier` refuses, and what goes wrong in the middle of it: no file is left half-written."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from edgedistil_converters import convert_classifier
from edgedistil_converters.files import atomic_path, check_output
from edgedistil_converters.tokenizer.settings import read_tokenizer
from edgedistil_runtime import read_artifact
from edgedistil_runtime.errors import ConversionError, OutputError, ParityError, StructureError

from .conversions import FP32, names_in, refused

# What is refused before any work is done


@pytest.fixture
def no_conversion(monkeypatch):
    """A conversion that must not be reached."""

    def fail(*arguments):
        raise AssertionError("the converter was called")

    monkeypatch.setattr("edgedistil_converters.convert.convert_module", fail)


def test_an_existing_file_is_kept_without_force(finished, classifier, labels, tmp_path):
    target = tmp_path / "model.tflite"
    target.write_text("precious")
    refused(OutputError, "exists. Choose another output, or pass `force`", classifier, labels, target, plan=FP32)
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


@pytest.mark.parametrize("labels", ["abc", ["a", "", "c"], ["a", "b\nc", "d"], ["a", 1, "c"]])
def test_labels_that_are_no_labels(no_conversion, classifier, tmp_path, labels):
    refused(ConversionError, "list of strings", classifier, labels, tmp_path / "m.tflite")


def test_one_output_without_sigmoid(no_conversion, make_classifier, tmp_path):
    refused(ConversionError, "softmax of one number", make_classifier(num_classes=1), ["spam"], tmp_path / "m.tflite")


@pytest.mark.parametrize("token", ["[SEP]", "[PAD]", "[CLS]"])
def test_an_unknown_token_that_is_a_frame(make_preprocessor, vocabulary, token):
    with pytest.raises(ConversionError, match="out-of-vocabulary token must not be"):
        read_tokenizer(make_preprocessor(list(vocabulary), oov_token=token))


def test_a_folder_that_may_not_be_written_is_refused_before_any_work(
    no_conversion, classifier, labels, tmp_path, monkeypatch
):
    monkeypatch.setattr("edgedistil_converters.files.os.access", lambda *_: False)
    refused(OutputError, "cannot be written to", classifier, labels, tmp_path / "m.tflite")


# What goes wrong in the middle


def test_a_float_file_under_an_int8_plan(finished, classifier, labels, tmp_path):
    refused(StructureError, "int8 expected, float32 found", classifier, labels, tmp_path / "model.tflite")
    assert names_in(tmp_path) == []


def stop_verifying(error):
    def patch(monkeypatch):
        def verify(*arguments, **options):
            raise error

        monkeypatch.setattr("edgedistil_converters.verification.verified_file.verify", verify)

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

    monkeypatch.setattr("edgedistil_converters.files.tempfile.mkstemp", mkstemp)
    error = refused(OutputError, "No file can be made in", classifier, labels, tmp_path / "model.tflite", plan=FP32)
    assert os.strerror(number) in str(error)


# The file


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
