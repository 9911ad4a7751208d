"""Multi-label models: metadata, labels by thresholds, and the replay of their golden cases."""

import dataclasses
import json

import numpy as np
import pytest

from edgedistil_runtime import TextClassifier
from edgedistil_runtime.artifact import ArtifactMetadata, artifact_bytes
from edgedistil_runtime.backends.fake import FakeBackend
from edgedistil_runtime.decision import Decision
from edgedistil_runtime.errors import AcceleratorMismatch, ArtifactError
from edgedistil_runtime.golden_cases import replay_golden_cases

THRESHOLDS = (0.5, 0.3, 0.05)


@pytest.fixture
def multi_label(metadata):
    return dataclasses.replace(
        metadata, thresholds=THRESHOLDS, schema_version=2, flatbuffer_size=8, flatbuffer_sha256="0" * 64
    )


@pytest.fixture
def multi_label_path(write, flatbuffer, multi_label, vocabulary):
    return write(artifact_bytes(flatbuffer, multi_label, vocabulary))


def open_with(path, *probabilities):
    """A classifier that gives every text these probabilities."""
    answer = np.array([probabilities], np.float32)
    backend = FakeBackend(
        lambda signature, inputs: (
            {"probabilities": answer} if signature == "classify_text" else {"token_ids": np.array([[1, 2]], np.int32)}
        )
    )
    return TextClassifier(path, verify=False, backend=backend)


@pytest.mark.parametrize(
    ("probabilities", "labels"),
    [
        ((0.5, 0.2, 0.04), ("low",)),
        ((0.6, 0.9, 0.1), ("middle", "low", "hög")),
        ((0.4, 0.29, 0.04), ()),
    ],
)
def test_labels_are_those_that_reach_their_thresholds(multi_label_path, probabilities, labels):
    with open_with(multi_label_path, *probabilities) as classifier:
        answer = classifier.classify("hi", top_k=1)
    assert answer.labels == labels
    assert answer.label == ("low", "middle", "hög")[int(np.argmax(probabilities))]
    assert len(answer.probabilities) == 1


def test_a_model_of_one_label_has_no_set(fake_path):
    with open_with(fake_path, 0.6, 0.9, 0.1) as classifier:
        assert classifier.classify("hi").labels is None


def test_a_reader_of_schema_1_refuses_the_file(metadata, multi_label):
    """Readers compare `schema_version` with 1 before they read anything else."""
    assert json.loads(multi_label.to_json())["schema_version"] == 2
    assert "thresholds" not in json.loads(metadata.to_json())
    assert ArtifactMetadata.from_json(multi_label.to_json()).thresholds == THRESHOLDS


@pytest.mark.parametrize("thresholds", [[], [0.5], [0.5, 0.5, 0], [0.5, 0.5, 1], [0.5, 0.5, "a"], None])
def test_thresholds_that_are_refused(multi_label, thresholds):
    document = {**json.loads(multi_label.to_json()), "thresholds": thresholds}
    with pytest.raises(ArtifactError, match="thresholds"):
        ArtifactMetadata.from_json(json.dumps(document))


def test_version_and_thresholds_belong_together(metadata, multi_label):
    document = json.loads(multi_label.to_json())
    del document["thresholds"]
    with pytest.raises(ArtifactError, match=r"Missing: \['thresholds'\]"):
        ArtifactMetadata.from_json(json.dumps(document))
    with pytest.raises(ArtifactError, match=r"unknown: \['thresholds'\]"):
        ArtifactMetadata.from_json(dataclasses.replace(metadata, thresholds=THRESHOLDS).to_json())


def test_a_label_within_the_tolerance_of_its_threshold_may_change(multi_label):
    case = multi_label.golden_cases[1]
    due = np.array(case.probabilities)
    near = dataclasses.replace(multi_label, golden_cases=(case,), thresholds=tuple(due - 0.005), tolerance=0.02)
    assert not near.decision.is_same(due, due - 0.01)
    assert replay_golden_cases(near, tokenize=None, probabilities=lambda _: due - 0.01) == pytest.approx(0.01)


def test_a_label_that_changes_far_from_its_threshold_is_a_mismatch(multi_label):
    """The best label stays the best, so only the sets differ."""
    case = multi_label.golden_cases[1]
    due = np.array(case.probabilities)
    far = dataclasses.replace(multi_label, golden_cases=(case,), thresholds=tuple(due / 2), tolerance=0.01)
    with pytest.raises(AcceleratorMismatch, match="probabilities"):
        replay_golden_cases(far, tokenize=None, probabilities=lambda _: due / 3)


def test_a_flip_within_the_tolerance_is_a_close_call():
    generator, decision = np.random.default_rng(0), Decision(THRESHOLDS)
    drawn = generator.choice([0.0, 1.0, *THRESHOLDS, *generator.random(50)], (500, 2, 3))
    for first, second in drawn:
        tolerance = float(np.abs(first - second).max())
        assert decision.is_close_call(first, second, tolerance + 1e-9)
        assert 0 <= decision.margin(first, second) <= 1
        assert (decision.margin(first, second) > 0) <= (not decision.is_same(first, second))


def test_the_server_gives_the_set(multi_label_path):
    pytest.importorskip("starlette", reason="edgedistil-runtime[serve] is not installed")
    from edgedistil_runtime.serving.requests import ClassifyRequest

    with open_with(multi_label_path, 0.6, 0.9, 0.01) as classifier:
        answers = classifier.classify_batch(["hi"])
    assert ClassifyRequest(("hi",), None, 1, is_single=True).answer(answers)["labels"] == ["middle", "low"]
