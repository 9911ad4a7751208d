"""A directory that transformers wrote -> a Keras classifier: DistilBERTs and BERTs, with or without a trained head.

A BERT is a DistilBERT with segments and with another head (transformers, models/bert/modeling_bert.py):

* A single text is all segment 0, so that segment's embedding is added to every position embedding.
* The head is `pooler` (tanh) and `classifier`, where DistilBERT has `pre_classifier` (ReLU) and `classifier`. Both read
  the first token.

Weights are copied as they are, value by value; nothing of PyTorch or transformers is needed.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgedistil.builder import build_backbone, build_classifier
from edgedistil.presets.huggingface_tokenizer import (
    build_hugging_face_preprocessor,
    check_vocabulary,
    read_tokenizer_files,
)
from edgedistil.presets.safetensors_files import Tensors, open_tensors
from edgedistil.sizes import BackboneSize
from edgedistil_converters.model.keras_hub import backbone_layers, head_layers
from edgedistil_runtime.contract import MULTI_LABEL_CLASSIFICATION, SINGLE_LABEL_CLASSIFICATION
from edgedistil_runtime.errors import PresetError

__all__ = ["MODEL_TYPES", "check_config", "has_trained_head", "labels", "load", "tensor_names", "thresholds"]


@dataclass(frozen=True)
class _Names:
    """The names that a kind of model has for things, in its config and among its tensors."""

    trained: str
    pooled_activation: str
    activation: str
    config: Mapping[str, tuple[str, int]]  # argument of BackboneSize -> (key, transformers' default)
    dropout: str
    epsilon: str | None  # None: a constant in modeling_distilbert.py
    layer: str
    parts: Mapping[str, str]  # site of a layer -> tensor
    pooled: str


_NAMES = {
    "distilbert": _Names(
        trained="DistilBertForSequenceClassification",
        pooled_activation="relu",
        activation="activation",
        config={
            "num_layers": ("n_layers", 6),
            "num_heads": ("n_heads", 12),
            "hidden_dim": ("dim", 768),
            "intermediate_dim": ("hidden_dim", 3072),
        },
        dropout="dropout",
        epsilon=None,
        layer="transformer.layer",
        parts={
            "query": "attention.q_lin",
            "key": "attention.k_lin",
            "value": "attention.v_lin",
            "attention_output": "attention.out_lin",
            "attention_norm": "sa_layer_norm",
            "intermediate": "ffn.lin1",
            "output": "ffn.lin2",
            "output_norm": "output_layer_norm",
        },
        pooled="pre_classifier",
    ),
    "bert": _Names(
        trained="BertForSequenceClassification",
        pooled_activation="tanh",
        activation="hidden_act",
        config={
            "num_layers": ("num_hidden_layers", 12),
            "num_heads": ("num_attention_heads", 12),
            "hidden_dim": ("hidden_size", 768),
            "intermediate_dim": ("intermediate_size", 3072),
        },
        dropout="hidden_dropout_prob",
        epsilon="layer_norm_eps",
        layer="encoder.layer",
        parts={
            "query": "attention.self.query",
            "key": "attention.self.key",
            "value": "attention.self.value",
            "attention_output": "attention.output.dense",
            "attention_norm": "attention.output.LayerNorm",
            "intermediate": "intermediate.dense",
            "output": "output.dense",
            "output_norm": "output.LayerNorm",
        },
        pooled="pooler.dense",
    ),
}
MODEL_TYPES = tuple(_NAMES)
# transformers, activations.py: the names of GELU with erf, and with tanh.
_GELUS = {
    **dict.fromkeys(("gelu", "gelu_python"), "erf"),
    **dict.fromkeys(("gelu_new", "gelu_pytorch_tanh", "gelu_python_tanh", "gelu_fast"), "tanh"),
}
_EPSILON = 1e-12
_THRESHOLD = 0.5
_WORDS, _POSITIONS = "embeddings.word_embeddings.weight", "embeddings.position_embeddings.weight"
_SEGMENTS = "embeddings.token_type_embeddings.weight"


def has_trained_head(config: Mapping[str, Any]) -> bool:
    """Returns True if the checkpoint's config names a text classifier.

    Example:
        >>> has_trained_head({"model_type": "bert", "architectures": ["BertForSequenceClassification"]})
        True
        >>> has_trained_head({"model_type": "distilbert", "architectures": ["DistilBertForMaskedLM"]})
        False
    """
    return _NAMES[config["model_type"]].trained in (config.get("architectures") or [])


def check_config(config: Mapping[str, Any], preset: str) -> None:
    """Refuses what would be loaded as another model than it is.

    Raises:
        PresetError: the activation is not GELU, positions are not absolute, weights are quantized, it is a decoder, or
            the head does not choose one class of several.

    Example:
        >>> check_config({"model_type": "distilbert", "activation": "relu"}, "hf://someone/model")
        Traceback (most recent call last):
        edgedistil_runtime.errors.PresetError: ... Received: activation 'relu'
    """
    activation = config.get(_NAMES[config["model_type"]].activation, "gelu")
    if activation not in _GELUS:
        raise PresetError(
            f"{preset}: the activation must be GELU ({', '.join(_GELUS)}). Received: activation {activation!r}"
        )
    positions = config.get("position_embedding_type") or "absolute"
    if positions != "absolute":
        raise PresetError(f"{preset}: positions must be absolute (`position_embedding_type`). Received: {positions!r}")
    if config.get("is_decoder") or config.get("add_cross_attention"):
        raise PresetError(f"{preset}: a classifier reads a whole text. Received: a decoder (`is_decoder`)")
    if config.get("quantization_config"):
        method = config["quantization_config"].get("quant_method", "quantization_config")
        raise PresetError(
            f"{preset}: weights must be floats. Received: {method}. Use the checkpoint that was quantized"
        )
    if has_trained_head(config):
        _check_problem(config, preset)


def _check_problem(config: Mapping[str, Any], preset: str) -> None:
    problem = config.get("problem_type") or SINGLE_LABEL_CLASSIFICATION
    if problem not in (SINGLE_LABEL_CLASSIFICATION, MULTI_LABEL_CLASSIFICATION):
        raise PresetError(
            f"{preset}: a classifier here gives labels ({SINGLE_LABEL_CLASSIFICATION} or "
            f"{MULTI_LABEL_CLASSIFICATION}). Received: problem_type {problem!r}"
        )


def thresholds(config: Mapping[str, Any], count: int) -> tuple[float, ...]:
    """Smallest probability of each label that a multi-label classifier gives: 0.5; empty for one of a single label.

    A checkpoint does not contain thresholds. 0.5 is where a logit is 0.

    Example:
        >>> thresholds({"problem_type": "multi_label_classification"}, 3), thresholds({}, 3)
        ((0.5, 0.5, 0.5), ())
    """
    return (_THRESHOLD,) * count if config.get("problem_type") == MULTI_LABEL_CLASSIFICATION else ()


def tensor_names(model_type: str, num_layers: int) -> tuple[str, str, dict[str, str]]:
    """Names of a backbone's tensors: of the words, of the positions, and site -> name without `.weight` and `.bias`.

    Example:
        >>> tensor_names("distilbert", 1)[2]["transformer_layer_0/query"]
        'transformer.layer.0.attention.q_lin'
    """
    names = _NAMES[model_type]
    sites = [f"transformer_layer_{index}/{part}" for index in range(num_layers) for part in names.parts]
    return _WORDS, _POSITIONS, {site: _tensor_name(names, site) for site in ("embeddings_layer_norm", *sites)}


def _tensor_name(names: _Names, site: str) -> str:
    index, _, part = site.removeprefix("transformer_layer_").partition("/")
    return f"{names.layer}.{index}.{names.parts[part]}" if part else "embeddings.LayerNorm"


def labels(config: Mapping[str, Any], count: int) -> tuple[str, ...]:
    """Class names of `id2label`; transformers leaves out its defaults, `LABEL_0` and so on.

    Example:
        >>> labels({"id2label": {"1": "on", "0": "off"}}, 2), labels({}, 2)
        (('off', 'on'), ('LABEL_0', 'LABEL_1'))
    """
    names = {int(index): str(name) for index, name in (config.get("id2label") or {}).items()}
    size = max(count, *(index + 1 for index in names)) if names else count
    return tuple(names.get(index, f"LABEL_{index}") for index in range(size))


def load(
    directory: Path,
    config: Mapping[str, Any],
    preset: str,
    *,
    num_classes: int | None,
    options: Mapping[str, Any],
    load_weights: bool = True,
    has_preprocessor: bool = True,
) -> Any:
    """Builds the classifier of a checkpoint.

    Args:
        directory: Directory of the checkpoint.
        config: Content of its config.json.
        preset: Name of the preset, for errors.
        num_classes: Outputs of a new head; `None` keeps the trained one.
        options: `activation`, `hidden_dim` and `dropout` of the head, if they are given.
        load_weights: False gives random weights.
        has_preprocessor: False gives a classifier without one.

    Returns:
        A `keras_hub.models.DistilBertTextClassifier`.

    Raises:
        PresetError: files are missing or do not fit each other.
    """
    tensors = open_tensors(directory, preset) if load_weights else None
    checkpoint = _Checkpoint(config, preset, tensors)
    backbone = checkpoint.backbone()
    preprocessor = None
    if has_preprocessor:
        files = read_tokenizer_files(directory, preset)
        check_vocabulary(len(files.vocabulary), backbone.vocabulary_size, preset)
        preprocessor = build_hugging_face_preprocessor(files, positions=backbone.max_sequence_length)
    return checkpoint.classifier(backbone, preprocessor, num_classes, options)


class _Checkpoint:
    """A config with its tensors, if they are to be loaded."""

    def __init__(self, config: Mapping[str, Any], preset: str, tensors: Tensors | None) -> None:
        self._config, self._preset, self._tensors = config, preset, tensors
        self._names = _NAMES[config["model_type"]]
        # `distilbert.` or `bert.` in a model with a head, nothing in a bare one.
        self._prefix = next((name.removesuffix(_WORDS) for name in tensors or () if name.endswith(_WORDS)), "")

    def backbone(self) -> Any:
        config, names = self._config, self._names
        sizes = {argument: int(config.get(key, default)) for argument, (key, default) in names.config.items()}
        backbone = build_backbone(
            BackboneSize(**sizes),
            vocabulary_size=self._rows(_WORDS, "vocab_size", 30522),
            max_sequence_length=self._rows(_POSITIONS, "max_position_embeddings", 512),
            dropout=float(config.get(names.dropout, 0.1)),
            layer_norm_epsilon=float(config.get(names.epsilon, _EPSILON) if names.epsilon else _EPSILON),
            gelu=_GELUS[config.get(names.activation, "gelu")],
        )
        if self._tensors is not None:
            self._load_backbone(backbone)
        return backbone

    def classifier(self, backbone: Any, preprocessor: Any, num_classes: int | None, options: Mapping[str, Any]) -> Any:
        if num_classes is not None:
            return build_classifier(backbone, num_classes, preprocessor=preprocessor, **options)
        config = self._config
        dropout = config.get("seq_classif_dropout" if config["model_type"] == "distilbert" else "classifier_dropout")
        if dropout is None:
            dropout = 0.2 if config["model_type"] == "distilbert" else config.get("hidden_dropout_prob", 0.1)
        # Probabilities, not logits, so that a multi-label classifier is never taken for one of a single label.
        activation = {"activation": "sigmoid"} if thresholds(config, 1) else {}
        classifier = build_classifier(
            backbone,
            self._count_classes(),
            preprocessor=preprocessor,
            pooled_activation=self._names.pooled_activation,
            **{"dropout": dropout, **activation, **options},
        )
        if self._tensors is not None:
            pooled = f"{self._prefix if config['model_type'] == 'bert' else ''}{self._names.pooled}"
            for site, layer in head_layers(classifier):
                self._load_layer(layer, pooled if site == "pooled_dense" else "classifier")
        return classifier

    def _count_classes(self) -> int:
        if self._tensors is None:
            return len(self._config.get("id2label") or {}) or 2
        count = self._tensors.shape("classifier.bias")[0]
        if count == 1:
            raise PresetError(
                f"{self._preset}: a classifier chooses among several labels. Received: a head of one output, which "
                "is a regression"
            )
        return count

    def _rows(self, name: str, key: str, default: int) -> int:
        if self._tensors is None:
            return int(self._config.get(key, default))
        return self._tensors.shape(self._prefix + name)[0]

    def _load_backbone(self, backbone: Any) -> None:
        positions = self._read(_POSITIONS)
        if self._config["model_type"] == "bert":
            positions = positions + self._read(_SEGMENTS)[0]  # float32[512, width] + float32[width]
        self._assign(backbone.token_embedding.embeddings, _WORDS, self._read(_WORDS))
        self._assign(backbone.embeddings.position_embedding.position_embeddings, _POSITIONS, positions)
        for site, layer in backbone_layers(backbone):
            self._load_layer(layer, self._prefix + _tensor_name(self._names, site))

    def _load_layer(self, layer: Any, name: str) -> None:
        assert self._tensors is not None
        if hasattr(layer, "gamma"):
            # Checkpoints that come from TensorFlow have its names.
            is_old = f"{name}.gamma" in self._tensors
            gamma, beta = (f"{name}.gamma", f"{name}.beta") if is_old else (f"{name}.weight", f"{name}.bias")
            self._assign(layer.gamma, gamma, self._tensors.read(gamma))
            self._assign(layer.beta, beta, self._tensors.read(beta))
            return
        # PyTorch stores a kernel as [out, in], Keras as [in, out]; those of attention are split into heads.
        outputs = math.prod(layer.bias.shape)
        inputs = math.prod(layer.kernel.shape) // outputs
        kernel, bias = f"{name}.weight", f"{name}.bias"
        self._assign(layer.kernel, kernel, self._tensors.read(kernel).T, (inputs, outputs))
        self._assign(layer.bias, bias, self._tensors.read(bias), (outputs,))

    def _read(self, name: str) -> Any:
        assert self._tensors is not None
        return self._tensors.read(self._prefix + name)

    def _assign(self, variable: Any, name: str, values: Any, shape: tuple[int, ...] | None = None) -> None:
        shape = shape or tuple(variable.shape)
        if values.shape != shape:
            raise PresetError(
                f"The preset {self._preset} cannot be read: its config.json and its weights are of different sizes. "
                f"Received: {name} of {list(values.T.shape)}, not {list(shape[::-1])}"
            )
        variable.assign(values.reshape(variable.shape))
