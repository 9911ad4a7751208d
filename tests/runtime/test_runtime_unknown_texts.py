"""Texts with none of a model's labels: the rule in the metadata, and the results that have `is_unknown`."""

import dataclasses
import json

import numpy as np
import pytest

from edgedistil_runtime import TextClassifier
from edgedistil_runtime.artifact import ArtifactMetadata, artifact_bytes
from edgedistil_runtime.backends.fake import FakeBackend
from edgedistil_runtime.backends.protocol import Signature
from edgedistil_runtime.cli import main
from edgedistil_runtime.errors import ArtifactError, BackendError
from edgedistil_runtime.unknown_texts import UnknownRule

RULE = {"label": "other", "threshold": -2.0}


@pytest.fixture
def with_rule(metadata):
    return dataclasses.replace(
        metadata, preparation={"unknown_texts": RULE}, flatbuffer_size=8, flatbuffer_sha256="0" * 64
    )


@pytest.fixture
def path_with_rule(write, flatbuffer, with_rule, vocabulary):
    return write(artifact_bytes(flatbuffer, with_rule, vocabulary))


class Scored(FakeBackend):
    """Gives each text minus its number of token ids as its score; probabilities are always the same."""

    def __init__(self, score=lambda length: -float(length), *, name="unknown_score"):
        def answer(signature, inputs):
            if signature == "tokenize":
                return {"token_ids": inputs["text"][inputs["text"] > 0][None]}
            lengths = [(row > 0).sum() for row in inputs.get("token_ids", [inputs.get("text")])]
            probabilities = np.array([[0.2, 0.7, 0.1]] * len(lengths), np.float32)
            return {"probabilities": probabilities, name: np.array([score(n) for n in lengths], np.float32)}

        super().__init__(
            answer,
            signatures={
                "classify_text": Signature(("text",), ("probabilities", name)),
                "classify_tokens": Signature(("token_ids",), ("probabilities", name)),
                "tokenize": Signature(("text",), ("token_ids",)),
            },
        )


def test_a_score_above_the_threshold_is_unknown_and_the_label_stays(path_with_rule):
    with TextClassifier(path_with_rule, verify=False, backend=Scored()) as classifier:
        answers = [classifier.classify(text, top_k=1) for text in ("a", "ab", "abc")]
    assert [answer.unknown_score for answer in answers] == [-1, -2, -3]
    assert [answer.is_unknown for answer in answers] == [True, False, False]
    assert {answer.label for answer in answers} == {"middle"}


def test_a_batch_gives_each_text_its_own_score(path_with_rule):
    with TextClassifier(path_with_rule, verify=False, backend=Scored()) as classifier:
        answers = classifier.classify_batch(["abcd", "a", "abc"])
        [row] = classifier.classify_tokens([[5]])
    assert [answer.unknown_score for answer in answers] == [-4, -1, -3]
    assert [answer.is_unknown for answer in answers] == [False, True, False]
    assert (row.unknown_score, row.is_unknown) == (-1, True)


def test_a_divided_text_has_the_mean_of_its_pieces(path_with_rule):
    scores = iter([-3.0, -0.5])
    with TextClassifier(path_with_rule, verify=False, backend=Scored(lambda _: next(scores))) as classifier:
        excerpts = classifier._excerpts("ab", None) * 2
        answer = classifier._classification(list(map(classifier._run, excerpts)), excerpts, None, "ab")
    assert (answer.unknown_score, answer.is_unknown, answer.num_pieces) == (-1.75, True, 2)


def test_a_file_without_the_rule_has_no_answer(fake_path):
    with TextClassifier(fake_path, verify=False, backend=Scored()) as classifier:
        answer = classifier.classify("hi")
    assert (answer.unknown_score, answer.is_unknown) == (None, None)


@pytest.mark.parametrize(
    "backend", [Scored(name="distance"), Scored(lambda _: float("nan"))], ids=["no output", "not finite"]
)
def test_a_model_that_lacks_the_score_is_an_error(path_with_rule, backend):
    with (
        TextClassifier(path_with_rule, verify=False, backend=backend) as classifier,
        pytest.raises(BackendError, match="unknown_score"),
    ):
        classifier.classify("hi")


def test_the_rule_is_in_schema_1(with_rule):
    """An older reader gives every text its label, which is right, so it need not refuse the file."""
    assert json.loads(with_rule.to_json())["schema_version"] == 1
    assert ArtifactMetadata.from_json(with_rule.to_json()).unknown_rule == UnknownRule("other", -2.0)


@pytest.mark.parametrize(
    "rule",
    [
        None,
        [],
        {"label": "other"},
        {"label": "", "threshold": 1},
        {"label": "middle", "threshold": 1},
        {"label": "other", "threshold": "1"},
        {"label": "other", "threshold": True},
    ],
)
def test_a_damaged_rule_is_refused(with_rule, rule):
    document = {**json.loads(with_rule.to_json()), "preparation": {"unknown_texts": rule}}
    with pytest.raises(ArtifactError, match="unknown_texts"):
        ArtifactMetadata.from_json(json.dumps(document))


def test_the_command_line_shows_it(path_with_rule, monkeypatch, capsys):
    monkeypatch.setattr(
        "edgedistil_runtime.cli.classify.open_classifier",
        lambda _: TextClassifier(path_with_rule, verify=False, backend=Scored()),
    )
    assert main(["classify", str(path_with_rule), "a", "abc"]) == 0
    assert capsys.readouterr().out == "middle\t0.7000\tother\nmiddle\t0.7000\n"
    assert main(["classify", str(path_with_rule), "a", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["unknown_score"], document["is_unknown"], document["label"]) == (-1, True, "middle")


def test_the_server_gives_it(path_with_rule):
    pytest.importorskip("starlette", reason="edgedistil-runtime[serve] is not installed")
    from edgedistil_runtime.serving.requests import ClassifyRequest

    with TextClassifier(path_with_rule, verify=False, backend=Scored()) as classifier:
        body = ClassifyRequest(("a",), None, 1, is_single=True).answer([classifier.classify("a")])
    assert (body["unknown_score"], body["is_unknown"]) == (-1, True)
