"""Checkpoints that the real transformers writes give here what they give in PyTorch, token for token.

transformers and PyTorch need a gigabyte of packages, so `make setup-torch` installs them into `.venv-torch`, and
transformers 4 into a folder in it; another interpreter that has them is named by the environment variable TORCH_PYTHON.
What is missing is skipped. `write_checkpoints.py` has the checkpoints: every row of docs/checkpoints.md that is about
what transformers writes.
"""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from edgedistil.presets.loading import NoTrainedHead, load_classifier, load_labelled_classifier
from edgedistil_converters.model.keras_token_ids import unpadded_rows
from edgedistil_converters.verification.keras_answers import answer_with_keras
from edgedistil_runtime.errors import PresetError

from ..conftest import HANG

HERE = Path(__file__).parent
ENVIRONMENT = HERE.parents[1] / ".venv-torch"
PYTHON = Path(os.environ.get("TORCH_PYTHON", ENVIRONMENT / "bin" / "python"))
VERSION_4 = ENVIRONMENT / "transformers-4"
pytestmark = pytest.mark.skipif(
    not PYTHON.exists(), reason=f"transformers is not installed: there is no {PYTHON}; run `make setup-torch`"
)
needs_version_4 = pytest.mark.skipif(
    not VERSION_4.exists(), reason=f"transformers 4 is not installed: there is no {VERSION_4}; run `make setup-torch`"
)
TOLERANCE = 1e-5
LABELS = ["lights", "music", "weather"]

V4_HEADS = (
    *("bert_classifier", "distilbert_classifier", "bert_slow_tokenizer", "distilbert_slow_tokenizer"),
    *("both_tokenizers", "loaded_and_saved_again", "bert_bfloat16", "distilbert_shards"),
    *("cased", "cased_slow", "cased_without_accents", "uncased_with_accents", "whole_cjk", "model_max_length"),
    *("gelu_new_and_epsilon", "added_tokens", "added_tokens_slow"),
    *("generic_uncased", "generic_cased", "generic_with_controls", "generic_contradicted", "cased_contradicted"),
    *("cased_unnamed", "uncased_contradicted", "accents_contradicted", "without_class"),
)
HEADS = (
    *V4_HEADS,
    *("bert_float16", "bert_float64", "distilbert_float16", "distilbert_bfloat16", "distilbert_float64"),
    *("bert_shards", "two_default_labels", "four_default_labels", "uncased_with_accents_slow", "gelu_python_tanh"),
    *("distilbert_ignores_epsilon", "sinusoidal_positions", "one_segment", "generic_without_normalizer"),
)
V4_BACKBONES = ("bert_model", "distilbert_model")
BACKBONES = (
    *V4_BACKBONES,
    *("bert_masked_lm", "distilbert_masked_lm", "bert_token_classification", "distilbert_question_answering"),
)
REFUSED = {
    "generic_without_template": r"between \[CLS\] and \[SEP\]",
    "ignored_vocabulary": "5 pieces, 30,522 rows",
    "pickle": r"pytorch_model\.bin.*Load and save it once with transformers",
    "regression": "one output.*regression",
    "relu": "GELU.*'relu'",
}
# Name -> files that the checkpoint must have, and must not have, to be what its name says.
FILES = {
    "bert_classifier": ({"tokenizer.json", "model.safetensors"}, {"vocab.txt"}),
    "distilbert_classifier": ({"tokenizer.json", "model.safetensors"}, {"vocab.txt"}),
    "bert_slow_tokenizer": ({"vocab.txt"}, {"tokenizer.json"}),
    "both_tokenizers": ({"vocab.txt", "tokenizer.json"}, set()),
    "added_tokens_slow": ({"vocab.txt", "added_tokens.json"}, {"tokenizer.json"}),
    "bert_shards": ({"model.safetensors.index.json", "model-00002-of-00005.safetensors"}, {"model.safetensors"}),
}
TEXTS = (
    "",
    " ",
    "turn the lights on",
    "Turn The Café on!",
    "CAFÉ, Zürich... naïve?",
    "cafe\u0301 zu\u0308rich",  # accents as combining marks
    "İstanbul i̇stanbul ISTANBUL",
    "straße STRASSE",
    "Русский русский РУССКИЙ",
    "日本 日本語 ab日本ab",
    "한국 δοκιμή हिन्दी",
    "it's raining (on) the light-s",
    "play some music… ½ €",
    "a\u00a0b\u3000a\u200bb\u00adab",  # spaces of other kinds, and characters without width
    "a\x01b\x7fab\ufffdab\tab\r\nab",
    "[MASK] the [SEP] light [UNK] [mask] [PAD]",
    "xr500 XR500 xr5000 axr500",
    "new york, New York newyork anew york",
    "a <E1> b<E1>a <e1> <e>",
    "abab" * 30,  # more than 100 characters
    "on " * 60,  # more tokens than there are positions
    "ab1212 cooperate 🎵 x\U0001f3b5x",
)


@dataclass(frozen=True)
class Checkpoint:
    """A directory, and what transformers makes of it."""

    directory: Path
    due: dict

    @property
    def files(self) -> set[str]:
        return {path.name for path in self.directory.iterdir()}


def written(folder, names, **variables):
    command = [str(PYTHON), str(HERE / "write_checkpoints.py"), str(folder), *names]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", **variables}
    done = subprocess.run(
        command, input=json.dumps(TEXTS), env=environment, capture_output=True, text=True, timeout=HANG
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return {
        name: Checkpoint(folder / name, json.loads((folder / f"{name}.json").read_text(encoding="utf-8")))
        for name in names
    }


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    return written(tmp_path_factory.mktemp("transformers_5"), [*HEADS, *BACKBONES, *REFUSED, "multi_label"])


@pytest.fixture(scope="module")
def checkpoints_4(tmp_path_factory):
    return written(tmp_path_factory.mktemp("transformers_4"), [*V4_HEADS, *V4_BACKBONES], PYTHONPATH=str(VERSION_4))


def assert_classifies_alike(checkpoint):
    assert "error" not in checkpoint.due, checkpoint.due["error"]
    found = load_labelled_classifier(checkpoint.directory)
    answers = answer_with_keras(found.classifier, TEXTS)
    for text, answer, ids in zip(TEXTS, answers, checkpoint.due["ids"], strict=True):
        assert list(answer.token_ids) == ids, text
    probabilities = [answer.probabilities for answer in answers]
    np.testing.assert_allclose(probabilities, checkpoint.due["outputs"], atol=TOLERANCE)
    assert np.ptp(probabilities, axis=0).max() > 0.05  # texts differ
    assert list(found.labels) == checkpoint.due["labels"]


def assert_encodes_alike(checkpoint):
    assert "error" not in checkpoint.due, checkpoint.due["error"]
    with pytest.raises(NoTrainedHead):
        load_classifier(checkpoint.directory)
    classifier = load_classifier(checkpoint.directory, num_classes=2)
    rows = [list(row) for row in unpadded_rows(classifier.preprocessor, TEXTS)]
    assert rows == checkpoint.due["ids"]
    for row, due in zip(rows, checkpoint.due["outputs"], strict=True):
        inputs = {"token_ids": np.array([row]), "padding_mask": np.ones((1, len(row)), np.int32)}
        [found] = np.asarray(classifier.backbone(inputs, training=False))
        np.testing.assert_allclose(found, due, atol=TOLERANCE)


@pytest.mark.parametrize("name", HEADS)
def test_classifiers_of_transformers_5(checkpoints, name):
    assert_classifies_alike(checkpoints[name])


@pytest.mark.parametrize("name", BACKBONES)
def test_backbones_of_transformers_5(checkpoints, name):
    assert_encodes_alike(checkpoints[name])


@needs_version_4
@pytest.mark.parametrize("name", V4_HEADS)
def test_classifiers_of_transformers_4(checkpoints_4, name):
    assert_classifies_alike(checkpoints_4[name])


@needs_version_4
@pytest.mark.parametrize("name", V4_BACKBONES)
def test_backbones_of_transformers_4(checkpoints_4, name):
    assert_encodes_alike(checkpoints_4[name])


def test_multi_label_classifier_of_transformers_5(checkpoints):
    checkpoint = checkpoints["multi_label"]
    found = load_labelled_classifier(checkpoint.directory)
    assert found.thresholds == (0.5,) * len(checkpoint.due["labels"])
    assert_classifies_alike(checkpoint)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(checkpoints, name):
    with pytest.raises(PresetError, match=REFUSED[name]) as caught:
        load_labelled_classifier(checkpoints[name].directory)
    assert "damaged" not in str(caught.value)


def test_tokenizers_in_python_have_few_other_ids(checkpoints):
    """transformers 5 reads by Python code what that code wrote; here it is read as by any other class."""
    differing = {
        name: {text for text, *ids in zip(TEXTS, due["ids"], due["python_ids"], strict=True) if ids[0] != ids[1]}
        for name, due in ((name, checkpoint.due) for name, checkpoint in checkpoints.items())
        if "python_ids" in due
    }
    marks = {"cafe\u0301 zu\u0308rich"}  # it composes them where accents are kept
    tokens = {"xr500 XR500 xr5000 axr500", "new york, New York newyork anew york"}  # it does not fold the case of these
    assert differing.pop("added_tokens_slow") == tokens
    assert {name for name, texts in differing.items() if texts} == {
        *("cased_slow", "loaded_and_saved_again", "uncased_with_accents_slow")
    }
    assert set().union(*differing.values()) == marks


# The checkpoints are what their names say


@pytest.mark.parametrize("name", FILES)
def test_files(checkpoints, name):
    present, absent = FILES[name]
    assert present <= checkpoints[name].files and not absent & checkpoints[name].files


@needs_version_4
def test_files_of_transformers_4(checkpoints_4):
    both = {"vocab.txt", "tokenizer.json", "special_tokens_map.json"}
    assert both <= checkpoints_4["bert_classifier"].files
    assert "tokenizer.json" not in checkpoints_4["bert_slow_tokenizer"].files


def stored(checkpoint):
    with safe_open(checkpoint.directory / "model.safetensors", "numpy") as file:
        return {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118  # it is no mapping


def test_dtypes_prefixes_and_labels(checkpoints):
    for kind in ("bert", "distilbert"):
        for name, dtype in {"float16": "F16", "bfloat16": "BF16", "float64": "F64"}.items():
            assert set(stored(checkpoints[f"{kind}_{name}"]).values()) == {dtype}
        assert not any(name.startswith(kind) for name in stored(checkpoints[f"{kind}_model"]))
        assert any(name.startswith(f"{kind}.") for name in stored(checkpoints[f"{kind}_classifier"]))
    config = json.loads((checkpoints["bert_classifier"].directory / "config.json").read_text())
    assert set(config["id2label"].values()) == set(LABELS)
    config = json.loads((checkpoints["two_default_labels"].directory / "config.json").read_text())
    assert "id2label" not in config


def test_classes_of_tokenizers(checkpoints):
    classes = {name: checkpoint.due.get("class") for name, checkpoint in checkpoints.items()}
    assert classes["bert_classifier"] == "BertTokenizer" and "python_ids" in checkpoints["bert_slow_tokenizer"].due
    assert classes["distilbert_classifier"] == "DistilBertTokenizer"
    assert classes["generic_cased"] == "TokenizersBackend" and classes["without_class"] == "BertTokenizer"
