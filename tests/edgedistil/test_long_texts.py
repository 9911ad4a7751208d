"""Long texts: what is read of them in Keras and in the file, how much is not, and what the commands print about it."""

import json
import random
import re
from functools import partial

import numpy as np
import pytest
from click.testing import CliRunner

from edgedistil.cli import main
from edgedistil.labelling import ChunkLimits, label_file
from edgedistil.truncation import Truncation, TruncationCounter
from edgedistil_runtime import TextClassifier
from edgedistil_runtime.errors import InputError, OutputError
from edgedistil_runtime.pieces import CUT, HEAD_TAIL, LONG_TEXTS, WINDOWS

from .labelling_files import label, read_back, request_of, write_rows

SENTENCES = ("turn the lights on ,", "play some louder music !", "is it raining ?", "größer , 東京", "lights")
LONG = "word and word " * 6  # more than sixteen bytes, which are the ids of the model `echo.tflite`


def invoke(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def mixed_texts():
    """Texts of 1 to about 100 tokens; the tiny classifier reads 16."""
    generator = random.Random(0)
    return [" ".join(generator.choices(SENTENCES, k=count)) for count in (1, 2, 3, 4, 8, 20) for _ in range(4)]


@pytest.fixture(scope="module")
def tiny_file(tiny_classifier, tiny_labels, tmp_path_factory):
    from edgedistil_converters import QuantizationPlan, convert_classifier

    path = tmp_path_factory.mktemp("files") / "tiny.tflite"
    convert_classifier(tiny_classifier, tiny_labels, path, plan=QuantizationPlan("fp32"))
    return path


@pytest.mark.parametrize("way", LONG_TEXTS)
def test_the_file_reads_what_keras_reads(way, tiny_file, tiny_classifier, mixed_texts):
    from edgedistil.training.keras_outputs import predict_probabilities
    from edgedistil.training.long_texts import divide_texts, mean_by_text

    pieces = divide_texts(tiny_classifier.preprocessor, mixed_texts, way)
    expected = mean_by_text(predict_probabilities(tiny_classifier, pieces.texts), pieces)
    with TextClassifier(tiny_file, long_texts=way) as classifier:
        answers = classifier.classify_batch(mixed_texts)
        single = [classifier.classify(text) for text in mixed_texts]
    for given in (answers, single):
        found = np.array([list(answer.probabilities.values()) for answer in given])
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
        assert [answer.num_pieces for answer in given] == np.bincount(pieces.rows).tolist()
    assert [text for text, row in zip(pieces.texts, pieces.rows, strict=True) if row == 0] == [mixed_texts[0]]
    assert (len(pieces.texts) > len(mixed_texts)) == (way == WINDOWS)


def test_ways_differ_and_windows_read_everything(tiny_file, tiny_classifier, mixed_texts):
    from edgedistil.training.long_texts import divide_texts

    preprocessor = tiny_classifier.preprocessor
    texts = {way: divide_texts(preprocessor, mixed_texts, way) for way in LONG_TEXTS}
    assert texts[CUT].texts == tuple(mixed_texts) and texts[CUT].rows.tolist() == list(range(len(mixed_texts)))
    longest = mixed_texts[-1]
    [head_tail] = [text for text, row in zip(*vars(texts[HEAD_TAIL]).values(), strict=True) if row == 23]
    assert len(head_tail) < len(longest) and longest.startswith(head_tail[:10]) and longest.endswith(head_tail[-8:])
    for text, row in zip(*vars(texts[WINDOWS]).values(), strict=True):
        assert text in mixed_texts[row]
        assert len(preprocessor.tokenizer(text)) <= 14 or text == mixed_texts[row]
    with pytest.raises(InputError, match="`long_texts` must be one of"):
        divide_texts(preprocessor, mixed_texts, "middle")


@pytest.mark.parametrize("way", LONG_TEXTS)
def test_tokens_that_are_lost(way, tiny_file, tiny_classifier, mixed_texts):
    from edgedistil.training.long_texts import measure_truncation

    counts = [len(tiny_classifier.preprocessor.tokenizer(text)) for text in mixed_texts]
    long = [count for count in counts if count > 14]
    assert 5 < len(long) < len(counts)
    measured = measure_truncation(tiny_classifier.preprocessor, mixed_texts, way)
    with TextClassifier(tiny_file, long_texts=way) as classifier:
        counter = TruncationCounter(classifier)
        counter.add(classifier.classify_batch(mixed_texts))
        assert [classifier.count_tokens(text) for text in mixed_texts] == counts
    assert counter.result() == measured
    assert (measured.texts, measured.sequence_length) == (len(counts), 16)
    if way == WINDOWS:
        assert (measured.truncated, measured.divided, measured.lost_share) == (0, len(long), None)
    else:
        assert (measured.truncated, measured.divided) == (len(long), 0)
        assert measured.lost_share == pytest.approx(1 - 14 * len(long) / sum(long))


def test_a_large_file_is_counted_in_part(tiny_file):
    text = "play some music " * 10  # 30 tokens in 160 characters
    with TextClassifier(tiny_file) as classifier:
        counter = TruncationCounter(classifier, characters=450)
        counter.add(classifier.classify_batch([text] * 5))
    assert counter.result() == Truncation(5, 5, 16, counted=2, tokens=60, lost=32)
    assert "53 % of the tokens of the first 2 that were cut were not read" in str(counter.result())


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            {"truncated": 1, "counted": 1, "tokens": 4, "lost": 1},
            "1 of 1,000 texts is longer .*, and 25 % of its tokens",
        ),
        ({"truncated": 2}, "2 of 1,000 texts are longer than the model's 16 tokens"),
        (
            {"truncated": 2, "divided": 3},
            "5 of 1,000 texts are longer than the model's 16 tokens; 3 were read in pieces",
        ),
        ({"truncated": 0, "divided": 1}, "1 of 1,000 texts is longer than .*, and was read in pieces"),
    ],
)
def test_sentences(fields, sentence):
    assert re.match(sentence, str(Truncation(texts=1000, sequence_length=16, **fields)))


# The commands


def test_evaluate(tiny_preset, tiny_file, mixed_texts, tiny_labels, tmp_path):
    data = tmp_path / "long.jsonl"
    rows = [{"text": text, "label": tiny_labels[number % 3]} for number, text in enumerate(mixed_texts)]
    write_rows(data, rows)
    for way, truncated in ((CUT, True), (WINDOWS, False)):
        done = invoke("evaluate", tiny_preset, tiny_file, "--data", data, "--long-texts", way, "--json")
        assert done.exit_code == 0, done.stderr
        keras, file = json.loads(done.stdout.splitlines()[-1])["models"]
        assert keras["confusion"] == file["confusion"]
        assert keras["truncation"] == file["truncation"]
        assert (file["truncation"]["truncated"] > 0, file["truncation"]["divided"] > 0) == (truncated, not truncated)
    printed = invoke("evaluate", tiny_file, "--data", data).stdout
    assert f"{tiny_file}: " in printed and "longer than the model's 16 tokens" in printed


def test_predict_prints_what_was_not_read(artifact):
    model = artifact(sequence_length=16)
    done = invoke("predict", model, "short", LONG)
    assert done.stderr == (
        "1 of 2 texts is longer than the model's 16 tokens, and 83 % of its tokens were not read (see --long-texts)\n"
    )
    printed = json.loads(invoke("predict", model, "short", LONG, "--json").stdout)
    assert [result["is_truncated"] for result in printed["results"]] == [False, True]
    assert printed["truncation"] == {
        "texts": 2, "truncated": 1, "divided": 0, "sequence_length": 16, "lost_share": 0.8333
    }  # fmt: skip
    windows = invoke("predict", model, "short", LONG, "--long-texts", WINDOWS)
    assert windows.stderr == "1 of 2 texts is longer than the model's 16 tokens, and was read in pieces\n"
    assert invoke("predict", model, "short").stderr == ""


def test_predict_writes_a_column(artifact, tmp_path):
    model = artifact(sequence_length=16)
    source = write_rows(tmp_path / "in.csv", [{"text": "short"}, {"text": LONG}, {"text": "x"}])
    outputs = {}
    for way in LONG_TEXTS:
        output = tmp_path / f"{way}.jsonl"
        done = invoke("predict", model, "--input", source, "-o", output, "--long-texts", way, "--json")
        assert done.exit_code == 0, done.stderr
        outputs[way] = read_back(output)
        assert [row["is_truncated"] for row in outputs[way]] == [False, way != WINDOWS, False]
        assert json.loads(done.stdout)["truncation"]["truncated"] == (way != WINDOWS)
    assert len({rows[1]["score"] for rows in outputs.values()}) > 1
    assert len({rows[0]["score"] for rows in outputs.values()}) == 1
    done = invoke("predict", model, "--input", source, "-o", tmp_path / "again.csv")
    assert "see --long-texts" in done.stderr


def test_blank_rows_are_not_counted(artifact, tmp_path):
    model = artifact(sequence_length=16)
    source = write_rows(tmp_path / "in.csv", [{"text": "", "n": 1}, {"text": LONG, "n": 2}, {"text": " ", "n": 3}])
    printed = json.loads(invoke("predict", model, "--input", source, "--json").stdout)
    assert [result["is_truncated"] for result in printed["results"]] == [None, True, None]
    done = invoke("predict", model, "--input", source, "-o", tmp_path / "out.csv", "--json")
    assert done.exit_code == 0, done.stderr
    assert [row["is_truncated"] for row in read_back(tmp_path / "out.csv")] == ["", "true", ""]
    for truncation in (printed["truncation"], json.loads(done.stdout)["truncation"]):
        assert (truncation["texts"], truncation["truncated"]) == (1, 1)


def test_another_way_does_not_continue_a_run(artifact, tmp_path):
    model = artifact(sequence_length=16)
    rows = [{"text": LONG}] * 6
    request = request_of(model, write_rows(tmp_path / "in.csv", rows), tmp_path / "out.csv", limits=ChunkLimits(rows=2))

    def stop(progress):
        if progress.rows >= 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        label_file(request, partial(TextClassifier, long_texts=WINDOWS), on_progress=stop)
    with pytest.raises(OutputError, match="long_texts"):
        label(model, request.source, request.output, limits=request.limits, is_resumed=True)


@pytest.mark.parametrize("way", [CUT, WINDOWS])
def test_train(way, tiny_preset, mixed_texts, tiny_labels, tmp_path):
    data = tmp_path / "long.jsonl"
    write_rows(data, [{"text": text, "label": tiny_labels[number % 3]} for number, text in enumerate(mixed_texts)])
    output = tmp_path / "trained"
    settings = ("--epochs", 1, "--sequence-length", 16, "--long-texts", way)
    done = invoke(
        "train", "--preset", tiny_preset, "--train-data", data, "--validation-data", data, "-o", output, *settings
    )
    assert done.exit_code == 0, done.stderr
    record = json.loads((output / "training.json").read_text())
    assert record["settings"]["long_texts"] == way and record["metrics"]["validation"]["rows"] == 24
    assert (record["truncation"]["truncated"] > 5, record["truncation"]["divided"] > 5) == (way == CUT, way == WINDOWS)
    end = "were read in pieces" if way == WINDOWS else "tokens were not read"
    assert re.search(rf"training data: \d+ of 24 texts are longer than the model's 16 tokens, and .*{end}", done.stdout)


def test_pieces_are_examples_of_their_texts(make_tiny_classifier, mixed_texts, tiny_labels, monkeypatch):
    from edgedistil.data import LabelledTexts, TrainingData
    from edgedistil.scores import score_probabilities
    from edgedistil.training import TrainingSettings, loop
    from edgedistil.training.keras_outputs import predict_probabilities
    from edgedistil.training.long_texts import mean_by_text

    fitted = []

    def record(texts, targets, **options):
        fitted.append((len(texts), targets.argmax(axis=1).tolist()))
        return training_batches(texts, targets, **options)

    training_batches = loop.training_batches
    monkeypatch.setattr(loop, "training_batches", record)
    texts = LabelledTexts(tuple(mixed_texts), tuple(tiny_labels[number % 3] for number in range(24)))
    classifier = make_tiny_classifier()
    settings = TrainingSettings(epochs=1, batch_size=1, long_texts=WINDOWS)
    data = TrainingData(texts, texts)
    result = loop.train(classifier, data, settings)
    [(count, classes)] = fitted
    pieces = loop.divide_texts(classifier.preprocessor, mixed_texts, WINDOWS)
    assert count == len(pieces.texts) == loop.steps_per_epoch(data, settings, classifier.preprocessor) > 24
    assert classes == [row % 3 for row in pieces.rows]
    probabilities = mean_by_text(predict_probabilities(classifier, pieces.texts), pieces)
    expected = score_probabilities(probabilities, np.arange(24) % 3)
    assert result.metrics["validation"] == pytest.approx(expected, abs=1e-5)


def test_a_new_head_is_fitted_to_pieces(tiny_preset, mixed_texts, tiny_labels, monkeypatch):
    from edgedistil.data import LabelledTexts, TrainingData
    from edgedistil.training import TrainingSettings, start
    from edgedistil.training.long_texts import divide_texts

    fitted = []

    def record(features, targets, weights, **options):
        fitted.append((len(features), len(weights), targets.argmax(axis=1).tolist()))
        return fit_linear_head(features, targets, weights, **options)

    fit_linear_head = start.fit_linear_head
    monkeypatch.setattr(start, "fit_linear_head", record)
    texts = LabelledTexts(tuple(mixed_texts), tuple(tiny_labels[number % 3] for number in range(24)))
    settings = TrainingSettings(sequence_length=16, long_texts=WINDOWS)
    classifier = start.from_preset(str(tiny_preset), TrainingData(texts), settings)
    rows = divide_texts(classifier.preprocessor, mixed_texts, WINDOWS).rows
    assert fitted == [(len(rows), len(rows), [row % 3 for row in rows])]
