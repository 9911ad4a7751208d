"""A KerasHub BERT -> the same classifier as a DistilBERT."""

from collections.abc import Mapping
from typing import Any

import keras_hub
import numpy as np

from edgedistil.builder import build_backbone, build_classifier
from edgedistil.sizes import BackboneSize
from edgedistil_converters.model.folded_bert import gelu_kind
from edgedistil_converters.model.keras_hub import backbone_layers

__all__ = ["fold"]


def fold(source: Any, *, num_classes: int | None, options: Mapping[str, Any]) -> Any:
    """Copies a BERT classifier into a DistilBERT classifier that computes the same for single texts.

    The embedding of segment 0, which all tokens of a single text have, is added to every position embedding.

    Args:
        source: A `keras_hub.models.BertTextClassifier`.
        num_classes: Outputs of a new head; `None` keeps the head, whose hidden layer is the pooler (tanh).
        options: `activation`, `hidden_dim` and `dropout` of the head, if they are given.

    Returns:
        A `keras_hub.models.DistilBertTextClassifier`.

    Example:
        >>> sizes = {"num_layers": 1, "num_heads": 1, "hidden_dim": 4, "intermediate_dim": 4}
        >>> bert = keras_hub.models.BertBackbone(vocabulary_size=9, max_sequence_length=8, **sizes)
        >>> classifier = keras_hub.models.BertTextClassifier(bert, 2)
        >>> ids = {"token_ids": np.array([[1, 5, 2]]), "padding_mask": np.ones((1, 3), "int32")}
        >>> folded = fold(classifier, num_classes=None, options={})(ids)
        >>> bool(np.allclose(folded, classifier({**ids, "segment_ids": np.zeros((1, 3), "int32")}), atol=1e-6))
        True
    """
    backbone = fold_backbone(source.backbone)
    preprocessor = _preprocessor(source.preprocessor)
    if num_classes is not None:
        return build_classifier(backbone, num_classes, preprocessor=preprocessor, **options)
    own = {"activation": source.activation, "dropout": source.dropout}
    classifier = build_classifier(
        backbone, source.num_classes, preprocessor=preprocessor, pooled_activation="tanh", **{**own, **options}
    )
    _copy(source.backbone.pooled_dense, classifier.pooled_dense)
    _copy(source.output_dense, classifier.output_dense)
    return classifier


def fold_backbone(source: Any) -> Any:
    """Copies a `keras_hub.models.BertBackbone` into a DistilBERT backbone, without its pooler."""
    [first, *_] = source.transformer_layers
    backbone = build_backbone(
        BackboneSize(source.num_layers, source.hidden_dim, source.num_heads, source.intermediate_dim),
        vocabulary_size=source.vocabulary_size,
        max_sequence_length=source.max_sequence_length,
        dropout=source.dropout,
        layer_norm_epsilon=float(source.embeddings_layer_norm.epsilon),
        gelu=gelu_kind(first._feedforward_intermediate_dense.activation),
    )
    positions = np.asarray(source.position_embedding.position_embeddings)
    segment = np.asarray(source.segment_embedding.embeddings)[0]
    backbone.token_embedding.embeddings.assign(source.token_embedding.embeddings)
    backbone.embeddings.position_embedding.position_embeddings.assign(positions + segment)
    for (_, layer), (_, copy) in zip(backbone_layers(source), backbone_layers(backbone), strict=True):
        _copy(layer, copy)
    return backbone


def _copy(source: Any, target: Any) -> None:
    for variable, new in zip(source.weights, target.weights, strict=True):
        new.assign(variable)


def _preprocessor(source: Any) -> Any:
    """The same tokenizer in DistilBERT's preprocessor, which gives no segment ids."""
    if source is None:
        return None
    tokenizer = source.tokenizer
    config = {
        **tokenizer.get_config(),
        "vocabulary": tokenizer.get_vocabulary(),
        "split_on_cjk": tokenizer.split_on_cjk,  # KerasHub 0.32 leaves it out of the config
        "name": "distil_bert_tokenizer",
    }
    return keras_hub.models.DistilBertTextClassifierPreprocessor(
        keras_hub.models.DistilBertTokenizer.from_config(config),
        sequence_length=source.sequence_length,
        truncate=source.truncate,
        name="distil_bert_text_classifier_preprocessor",
    )
