"""`edgedistil.json`: every key and every type is checked."""

import copy
import dataclasses
import json

import pytest

from edgedistil_runtime.artifact import ArtifactMetadata
from edgedistil_runtime.errors import ArtifactError


@pytest.fixture(scope="module")
def data(metadata):
    complete = dataclasses.replace(metadata, flatbuffer_size=8, flatbuffer_sha256="0" * 64)
    return json.loads(complete.to_json())


def changed(data, path, value):
    """Return a copy with another value at `path`, for instance `tokenizer.kind`."""
    result = copy.deepcopy(data)
    *outer, last = path.split(".")
    place = result
    for key in outer:
        place = place[int(key) if key.isdigit() else key]
    place[last] = value
    return result


WRONG = {
    "name": [None, "", 3],
    "labels": [None, [], [""], ["a", "a", "b"], "abc", [1, 2, 3], {"a": 1}],
    "tokenizer": [None, [], {}],
    "quantization": [None, {}, {"scheme": 8}, "int8"],
    "target": [None, "tpu", ["cpu"], 1],
    "golden_cases": [None, [], {}, [1], [{}]],
    "tolerance": [None, 0, 1, -0.1, "0.1", True],
    "parity": [None, []],
    "model": [None, 1],
    "versions": [None, {"numpy": 2}],
    "oldest_runtime": [None, 2.14],
    "flatbuffer_size": [None, 7, -1, 8.0, True, "8"],
    "flatbuffer_sha256": [None, "", "0" * 63, "G" * 64, "A" * 64, 0],
    "schema_version": [None, 0, 2, "1", True, 1.0],
    "tokenizer.kind": [None, "sentencepiece"],
    "tokenizer.sequence_length": [None, 0, 128.0, True],
    "tokenizer.lowercase": [None, 1, "true"],
    "tokenizer.suffix_indicator": [None, 1],
    "tokenizer.oov_token": [None, ""],
    "tokenizer.vocabulary_size": [None, 0, 1],
    "tokenizer.vocabulary_sha256": [None, "x"],
    "tokenizer.pad_id": [None, -1, 256, 0.0, False],
    "golden_cases.0.text": [None, 1],
    "golden_cases.0.token_ids": [None, [], [-1], [256], [1.0], [True], [1] * 129, "12"],
    "golden_cases.0.probabilities": [None, [], [0.5, 0.5], [0.5, 0.5, "0"], [0.5, 0.5, -0.1], [0.5, 0.5, 10**400]],
}


def test_the_unchanged_document_is_read(data, metadata):
    assert ArtifactMetadata.from_json(json.dumps(data).encode()).labels == metadata.labels


@pytest.mark.parametrize(("path", "value"), [(path, value) for path, values in WRONG.items() for value in values])
def test_wrong_value(data, path, value):
    with pytest.raises(ArtifactError, match=path.split(".")[-1].replace("_", "[_ ]")):
        ArtifactMetadata.from_json(json.dumps(changed(data, path, value)))


@pytest.mark.parametrize("place", ["", "tokenizer", "golden_cases.1"])
def test_unknown_and_missing_keys(data, place):
    path = f"{place}.colour" if place else "colour"
    with pytest.raises(ArtifactError, match=r"unknown: \['colour'\]"):
        ArtifactMetadata.from_json(json.dumps(changed(data, path, 1)))


@pytest.mark.parametrize(
    "key", [field.name for field in dataclasses.fields(ArtifactMetadata) if field.name != "thresholds"]
)
def test_missing_key(data, key):
    less = {name: value for name, value in data.items() if name != key}
    with pytest.raises(ArtifactError, match="schema version" if key == "schema_version" else f"Missing: .'{key}'."):
        ArtifactMetadata.from_json(json.dumps(less))


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e999", '"\\ud800"', "1" * 5000])
def test_values_that_json_readers_let_through(data, literal):
    document = json.dumps(changed(data, "parity.x", "HERE")).replace('"HERE"', literal)
    with pytest.raises(ArtifactError, match="not valid JSON"):
        ArtifactMetadata.from_json(document)


def test_a_newer_schema_says_what_to_install(data):
    with pytest.raises(ArtifactError, match="schema version 3; this runtime reads the versions 1 and 2"):
        ArtifactMetadata.from_json(json.dumps({**data, "schema_version": 3, "new_key": 0}))


RULES = {"rules": "hugging_face", "truncate": "longest_first", "clean_text": True, "max_input_chars_per_word": 100}
TOKEN = {
    **{"content": "[SEP]", "id": 1, "special": True, "single_word": False, "lstrip": False, "rstrip": False},
    **{"normalized": False, "is_piece": True},
}


def test_keras_hub_rules_add_no_keys_so_that_older_runtimes_read_the_file(data):
    assert not {"rules", "clean_text", "max_input_chars_per_word", "added_tokens"} & set(data["tokenizer"])
    assert ArtifactMetadata.from_json(json.dumps(data)).tokenizer.rules == "keras_hub"


def test_hugging_face_rules_are_read_and_written(data):
    document = changed(data, "tokenizer", {**data["tokenizer"], **RULES, "added_tokens": [TOKEN]})
    found = ArtifactMetadata.from_json(json.dumps(document))
    assert found.tokenizer.added_tokens[0].content == "[SEP]"
    assert json.loads(found.to_json()) == document


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rules", "bert"),
        ("truncate", "round_robin"),
        ("clean_text", 1),
        ("max_input_chars_per_word", "100"),
        ("added_tokens", None),
        ("added_tokens", [{**TOKEN, "id": 10**6}]),
        ("added_tokens", [{**TOKEN, "special": "yes"}]),
        ("added_tokens", [{**TOKEN, "content": ""}]),
        ("added_tokens", [{"content": "[SEP]", "id": 1}]),
    ],
)
def test_wrong_rules_are_refused(data, key, value):
    tokenizer = {**data["tokenizer"], **RULES, "added_tokens": [TOKEN], key: value}
    with pytest.raises(ArtifactError, match=key):
        ArtifactMetadata.from_json(json.dumps(changed(data, "tokenizer", tokenizer)))


def test_longest_first_belongs_to_hugging_face(data):
    with pytest.raises(ArtifactError, match="truncate"):
        ArtifactMetadata.from_json(json.dumps(changed(data, "tokenizer.truncate", "longest_first")))
