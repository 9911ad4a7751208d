"""A tiny DistilBERT for every test that needs a classifier, the settings of a tokenizer for artefacts made up by hand.

Also how long tests wait, and TensorFlow without its start-up remarks.
"""

import hashlib
import os
import shutil
from functools import partial
from pathlib import Path

import pytest

try:
    import fcntl
except ImportError:  # a system without locks: there each process makes its own
    fcntl = None

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Seconds until a test that waits for something fails. Only a hang takes so long: a busy machine must fail no test.
HANG = 1800.0

try:
    from hypothesis import HealthCheck, settings
except ImportError:  # an environment with only the runtime
    pass
else:
    settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("tests")

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = [
    "turn",
    "the",
    "light",
    "lights",
    "##s",
    "on",
    "off",
    "play",
    "some",
    "music",
    "loud",
    "##er",
    "is",
    "it",
    "rain",
    "##ing",
    "?",
    "!",
]
TINY_LABELS = ("lights", "music", "weather")
# Of the words above; with the built-in texts they are enough to measure ranges on.
COMMANDS = tuple(
    f"{verb} the {noun} {end}"
    for verb in ("turn", "play", "is")
    for noun in ("lights", "music", "rain")
    for end in ("on", "off", "?", "")
)
TINY_SEQUENCE_LENGTH = 16


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """`made_once("name", make)`: a folder that `make(folder)` fills, once for all processes of pytest-xdist."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if fcntl and "PYTEST_XDIST_WORKER" in os.environ else base
    shared = shared / "made_once"
    shared.mkdir(exist_ok=True)

    def fill(name, make):
        folder, mark = shared / name, shared / f"{name}.made"
        with (shared / f"{name}.lock").open("w") as lock:
            if fcntl:
                fcntl.flock(lock, fcntl.LOCK_EX)
            if not mark.exists():
                shutil.rmtree(folder, ignore_errors=True)  # half filled by a process that failed
                folder.mkdir()
                make(folder)
                mark.touch()
        return folder

    return fill


@pytest.fixture(scope="session")
def tiny_vocabulary() -> list[str]:
    return SPECIAL + WORDS


def _make_tiny_classifier(vocabulary, *, num_classes=3, seed=7, activation=None):
    """Two layers, width 16, two heads; weights wide enough that its three classes differ by text."""
    import keras
    import numpy as np

    from edgedistil.builder import BackboneSize, build_backbone, build_classifier, build_preprocessor

    keras.utils.set_random_seed(seed)
    backbone = build_backbone(
        BackboneSize(num_layers=2, hidden_dim=16, num_heads=2, intermediate_dim=32),
        vocabulary_size=len(vocabulary),
        max_sequence_length=TINY_SEQUENCE_LENGTH,
    )
    preprocessor = build_preprocessor(vocabulary, sequence_length=TINY_SEQUENCE_LENGTH)
    classifier = build_classifier(backbone, num_classes, preprocessor=preprocessor, activation=activation)
    # The initializer's deviation of 0.02 leaves all logits near 0, and biases at exactly 0: a swapped or forgotten
    # weight would go unseen.
    generator = np.random.default_rng(seed)
    for variable in classifier.weights:
        noise = generator.normal(0, 0.3, variable.shape).astype("float32")
        variable.assign(noise + (1.0 if variable.path.endswith("gamma") else 0.0))
    return classifier


@pytest.fixture(scope="session")
def tiny_labels() -> tuple[str, ...]:
    return TINY_LABELS


@pytest.fixture(scope="session")
def make_tiny_classifier(tiny_vocabulary):
    """Makes a classifier of one's own: `make_tiny_classifier(num_classes=3, seed=7, activation=None)`."""
    return partial(_make_tiny_classifier, tiny_vocabulary)


@pytest.fixture(scope="session")
def tiny_classifier(make_tiny_classifier):
    """Shared and not to be changed; a test that trains makes its own with `make_tiny_classifier`."""
    return make_tiny_classifier()


def _convert_to_int8(classifier, target, folder):
    from edgedistil_converters import QuantizationPlan, convert_classifier
    from edgedistil_converters.verification.texts import VERIFICATION_TEXTS

    path = folder / "model.tflite"
    plan, texts = QuantizationPlan("int8-static"), (*COMMANDS, *VERIFICATION_TEXTS)
    convert_classifier(classifier, TINY_LABELS, path, plan=plan, calibration_texts=texts, target=target)
    return path


@pytest.fixture(scope="session")
def convert_tiny(tiny_classifier):
    """`convert_tiny("edgetpu", folder)`: the path of the tiny classifier, converted to int8 for an accelerator."""
    return partial(_convert_to_int8, tiny_classifier)


def _make_tokenizer_settings(vocabulary, **changes):
    from edgedistil_runtime.artifact import TokenizerSettings

    defaults = {
        "kind": "builtin",
        "sequence_length": 128,
        "lowercase": True,
        "strip_accents": False,
        "split": True,
        "split_on_cjk": True,
        "suffix_indicator": "##",
        "oov_token": "[UNK]",
        "special_tokens_in_strings": False,
        "special_tokens": (),
        "truncate": "round_robin",
        "vocabulary_size": len(vocabulary),
        "vocabulary_sha256": hashlib.sha256("".join(f"{piece}\n" for piece in vocabulary).encode()).hexdigest(),
        "start_id": 1,
        "end_id": 2,
        "pad_id": 0,
        "unknown_id": 3,
    }
    return TokenizerSettings(**defaults | changes)


@pytest.fixture(scope="session")
def make_tokenizer_settings():
    """`make_tokenizer_settings(vocabulary, kind="none")`: those of an artefact around the model `echo.tflite`."""
    return _make_tokenizer_settings


@pytest.fixture(scope="session")
def tiny_preset(tiny_classifier, tmp_path_factory) -> Path:
    """The tiny classifier as a preset directory in KerasHub's format, with labels.txt."""
    directory = tmp_path_factory.mktemp("presets") / "tiny_preset"
    tiny_classifier.save_to_preset(str(directory))
    (directory / "labels.txt").write_text("".join(f"{label}\n" for label in TINY_LABELS), encoding="utf-8")
    return directory
