"""A tiny DistilBERT classifier with sharp weights, its artefacts, and tokenizers in files of their own.

Imports of TensorFlow stand inside fixtures, so that collecting the tests stays fast.
"""

import pickle
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .vocabularies import OPTION_SETS, SPECIAL_PIECES, VOCABULARIES, pieces

SEQUENCE_LENGTH, POSITIONS = 24, 32
WIDTH, HEADS, LAYERS, INTERMEDIATE = 16, 2, 2, 48
SHARED = Path(__file__).parents[2] / ".." / "shared"


def _make_preprocessor(vocabulary, *, sequence_length=SEQUENCE_LENGTH, **options):
    import keras_hub

    tokenizer = keras_hub.models.DistilBertTokenizer(vocabulary=vocabulary, **{"lowercase": True, **options})
    return keras_hub.models.DistilBertTextClassifierPreprocessor(tokenizer, sequence_length=sequence_length)


@pytest.fixture(scope="session")
def make_preprocessor():
    """`make_preprocessor(vocabulary, sequence_length=24, **options of the tokenizer)`; lowercase by default."""
    return _make_preprocessor


@pytest.fixture(scope="session")
def vocabulary() -> tuple[str, ...]:
    return (*SPECIAL_PIECES, *pieces())


def _sharpen(classifier):
    """Widens the logits and centres them, so that every label is the best of some text."""
    from edgedistil_converters.verification.texts import VERIFICATION_TEXTS

    features = _make_preprocessor(classifier.preprocessor.tokenizer.get_vocabulary())(list(VERIFICATION_TEXTS))
    inputs = {name: np.asarray(features[name]) for name in ("token_ids", "padding_mask")}
    pooled = np.asarray(classifier.pooled_dense(classifier.backbone(inputs)[:, 0]))
    kernel = 3 * classifier.output_dense.kernel.numpy()
    classifier.output_dense.kernel.assign(kernel)
    classifier.output_dense.bias.assign(-(pooled @ kernel).mean(axis=0))


@pytest.fixture(scope="session")
def make_classifier(vocabulary):
    """Makes a classifier of one's own: `make_classifier(num_classes=3, num_layers=2, activation=None, ...)`."""

    def make(*, num_classes=3, num_layers=LAYERS, activation=None, hidden_dim=None, sequence_length=SEQUENCE_LENGTH):
        import keras
        import keras_hub

        keras.utils.set_random_seed(11)
        backbone = keras_hub.models.DistilBertBackbone(
            vocabulary_size=len(vocabulary),
            num_layers=num_layers,
            num_heads=HEADS,
            hidden_dim=WIDTH,
            intermediate_dim=INTERMEDIATE,
            max_sequence_length=POSITIONS,
        )
        classifier = keras_hub.models.DistilBertTextClassifier(
            backbone,
            num_classes,
            preprocessor=_make_preprocessor(list(vocabulary), sequence_length=sequence_length),
            activation=activation,
            hidden_dim=hidden_dim,
        )
        generator = np.random.default_rng(2)
        for variable in classifier.weights:  # biases too: at 0 a forgotten one would go unseen
            noise = generator.normal(0, 0.25, variable.shape).astype(np.float32)
            variable.assign(noise + (1 if variable.path.endswith("gamma") else 0))
        _sharpen(classifier)
        return classifier

    return make


@pytest.fixture(scope="session")
def classifier(make_classifier):
    """Shared and not to be changed."""
    return make_classifier()


def _make_wide(vocabulary):
    import keras
    import keras_hub

    keras.utils.set_random_seed(3)
    backbone = keras_hub.models.DistilBertBackbone(
        vocabulary_size=len(vocabulary),
        num_layers=LAYERS,
        num_heads=HEADS,
        hidden_dim=32,
        intermediate_dim=INTERMEDIATE,
        max_sequence_length=SEQUENCE_LENGTH,
    )
    classifier = keras_hub.models.DistilBertTextClassifier(
        backbone, 3, preprocessor=_make_preprocessor(list(vocabulary)), activation=None
    )
    generator = np.random.default_rng(8)
    for variable in classifier.weights:
        noise = generator.normal(0, 0.15, variable.shape).astype(np.float32)
        variable.assign(noise + (1 if variable.path.endswith("gamma") else 0))
    return classifier


@pytest.fixture(scope="session")
def make_wide(vocabulary):
    """Makes a classifier whose width, 32, a block of int4 divides, and whose intermediate width, 48, it does not."""
    return lambda: _make_wide(vocabulary)


@pytest.fixture(scope="session")
def wide(make_wide):
    """Shared and not to be changed; a test that changes one makes its own with `make_wide`."""
    return make_wide()


@pytest.fixture(scope="session")
def labels() -> tuple[str, ...]:
    return ("lights", "music", "hög")


@pytest.fixture(scope="session")
def convert(classifier, labels, made_once):
    """`convert("int8")`: the run's one conversion of the tiny classifier by that scheme."""
    from edgedistil_converters import QuantizationPlan, convert_classifier

    @cache
    def convert_once(scheme):
        def make(folder):
            path = folder / f"{scheme}.tflite"
            conversion = convert_classifier(classifier, labels, path, plan=QuantizationPlan(scheme))
            (folder / "conversion").write_bytes(pickle.dumps(conversion))

        return pickle.loads((made_once(f"tiny_{scheme}", make) / "conversion").read_bytes())

    return convert_once


def _keras_ids(preprocessor, texts) -> list[list[int]]:
    """Rows of token ids of KerasHub's graph path, which `fit` and `predict` take, without their padding.

    A NUL ends a text there, and here.
    """
    import tensorflow as tf

    if not preprocessor.tokenizer.split:  # KerasHub then takes lists of words, and a whole text is one word here
        start, end, limit = 2, 3, preprocessor.sequence_length - 2
        words = [[text.split("\0")[0]] for text in texts]
        return [[start, *np.asarray(ids).tolist()[:limit], end] for ids in preprocessor.tokenizer(words)]
    batch = tf.constant([text.encode("utf-8", "replace") for text in texts], tf.string)
    rows = _graph_path(preprocessor)(batch)["token_ids"].numpy().tolist()
    end = preprocessor.tokenizer.end_token_id
    return [row[: _length(row, end, preprocessor)] for row in rows]


@cache
def _graph_path(preprocessor):
    """The preprocessor inside of a graph, traced once."""
    import tensorflow as tf

    return tf.function(lambda texts: preprocessor(texts), input_signature=[tf.TensorSpec([None], tf.string)])


def _length(row, end, preprocessor):
    """Up to the last `[SEP]`: a text may spell one out where special tokens in strings are on."""
    if preprocessor.tokenizer.special_tokens_in_strings:
        return len(row) - row[::-1].index(end)
    return row.index(end) + 1


@pytest.fixture(scope="session")
def keras_ids():
    return _keras_ids


@pytest.fixture(scope="session")
def eager_keras_ids():
    """Token ids of KerasHub's other path, in Python, without special tokens."""

    def ids(preprocessor, text) -> list[int]:
        return np.asarray(preprocessor.tokenizer(text.split("\0")[0])).tolist()

    return ids


@dataclass
class TokenizerFile:
    """Only a tokenizer in a TFLite file, and the KerasHub preprocessor that it must equal."""

    preprocessor: Any
    folder: Path

    @cached_property
    def backend(self):
        import tensorflow as tf

        from edgedistil_converters import QuantizationPlan
        from edgedistil_converters.flatbuffer import convert_module
        from edgedistil_converters.signatures import DEFAULT_SHAPES
        from edgedistil_converters.tokenizer.graph import GraphTokenizer
        from edgedistil_converters.tokenizer.settings import read_tokenizer
        from edgedistil_runtime import LiteRTInterpreterBackend

        tokenizer = GraphTokenizer(*read_tokenizer(self.preprocessor))
        module = tf.Module()
        module.functions = {
            "tokenize": tf.function(
                lambda text: {"token_ids": tokenizer(text)},
                input_signature=[tf.TensorSpec([None], tf.int32, name="text")],
                autograph=False,
            )
        }
        path = self.folder / "tokenizer.tflite"
        path.write_bytes(convert_module(module, QuantizationPlan("fp32"), DEFAULT_SHAPES))
        return LiteRTInterpreterBackend(path)

    def run(self, values) -> list[int]:
        """Token ids of exactly these int32 values, unpadded."""
        [row] = self.backend.run("tokenize", {"text": np.asarray(values, np.int32)})["token_ids"].tolist()
        return row

    def ids(self, text: str) -> list[int]:
        from edgedistil_runtime.text_bytes import encode_text

        return self.run(encode_text(text))

    def differences(self, texts) -> list[tuple[str, list[int], list[int]]]:
        """(text, KerasHub's ids, the file's ids) of the texts on which they differ."""
        found = []
        for first in range(0, len(texts), 10_000):
            some = texts[first : first + 10_000]
            for text, due in zip(some, _keras_ids(self.preprocessor, some), strict=True):
                ids = self.ids(text)
                if ids != due:
                    found.append((text, due, ids))
        return found


@pytest.fixture(scope="session")
def tokenizer_file(tmp_path_factory, vocabulary):
    """`tokenizer_file("cased")`: a file for that set of options, converted once."""

    @cache
    def make(name):
        if name == "bert":
            path = SHARED / "vocab" / "bert-base-uncased.txt"
            chosen, options = path.read_text("utf-8").removesuffix("\n").split("\n"), {"sequence_length": 512}
        else:
            chosen, options = VOCABULARIES.get(name, list(vocabulary)), OPTION_SETS[name]
        return TokenizerFile(_make_preprocessor(chosen, **options), tmp_path_factory.mktemp(name))

    return make


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """Real vocabularies and texts beside the repository."""
    if not SHARED.is_dir():
        pytest.skip(f"the shared data are not here: {SHARED}")
    return SHARED


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


@pytest.fixture(scope="session")
def ingredients(classifier):
    """Weights of the tiny classifier, and settings of its tokenizer."""
    from edgedistil_converters.model.keras_hub import read_weights
    from edgedistil_converters.tokenizer.settings import read_tokenizer

    return read_weights(classifier), read_tokenizer(classifier.preprocessor)[0]


@pytest.fixture(scope="session")
def answers(classifier):
    """Of Keras, to the texts of `targets.py`."""
    from edgedistil_converters.verification.keras_answers import answer_with_keras

    from .targets import TEXTS

    return answer_with_keras(classifier, TEXTS)


@pytest.fixture(scope="session")
def rows(answers):
    return [answer.token_ids for answer in answers]


@pytest.fixture(scope="session")
def embedded(ingredients):
    """`embedded(encoder, rows)`: what `embed` gives for rows, with float tables."""
    from edgedistil_converters.targets.parts import padded_row

    from .targets import PAD

    weights = ingredients[0]

    def embed(encoder, rows):
        found = []
        for row in rows:
            length = next(length for length in encoder.lengths if length >= len(row))
            ids = padded_row(row, length, PAD)[0]
            embeddings = weights.token_embeddings[ids] + weights.position_embeddings[:length]
            inputs = encoder.inputs(embeddings, (ids != PAD).astype(np.float32))
            found.append({name: np.asarray(values) for name, values in inputs.items()})
        return found

    return embed


@pytest.fixture(scope="session")
def float_model(wide):
    """The float file of `wide`, without a tokenizer."""
    from .float_files import float_file

    return float_file(wide)


@pytest.fixture(scope="session")
def ranges(wide, float_model):
    """Ranges of the activations of `wide` on the verification texts."""
    from edgedistil_converters.model.keras_token_ids import unpadded_rows
    from edgedistil_converters.quantization.observed_ranges import activation_ranges
    from edgedistil_converters.verification.texts import VERIFICATION_TEXTS

    return activation_ranges(float_model, unpadded_rows(wide.preprocessor, VERIFICATION_TEXTS))
