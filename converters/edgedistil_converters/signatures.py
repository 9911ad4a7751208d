"""The signatures of an artefact (DESIGN: the contract) as one TensorFlow module over shared weights."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from edgedistil_converters.edge_graph.embeddings import embedding_table
from edgedistil_converters.edge_graph.encoder import EdgeGraph
from edgedistil_converters.edge_graph.weights import ClassifierWeights
from edgedistil_converters.quantization.plan import QuantizationPlan
from edgedistil_converters.tokenizer.graph import GraphTokenizer
from edgedistil_runtime.artifact import CLASSIFY_TEXT, CLASSIFY_TOKENS, TOKENIZE, TokenizerSettings

__all__ = ["DEFAULT_SHAPES", "TextClassifierModule"]

# Shapes that a runtime which cannot resize an input works with; one that can is free to resize every -1.
DEFAULT_SHAPES: Mapping[str, Mapping[str, tuple[int, ...]]] = {
    CLASSIFY_TEXT: {"text": (256,)},
    TOKENIZE: {"text": (256,)},
    CLASSIFY_TOKENS: {"token_ids": (1, 64)},
}


class TextClassifierModule(tf.Module):  # type: ignore[misc]  # tensorflow has no types
    """Text or token ids in, probabilities out.

    Args:
        weights: of the classifier.
        settings: of its tokenizer.
        vocabulary: one piece an id.
        plan: decides how the embedding tables are stored.

    `functions` maps each signature's name to its traced function.
    """

    def __init__(
        self,
        weights: ClassifierWeights,
        settings: TokenizerSettings,
        vocabulary: Sequence[str],
        plan: QuantizationPlan,
    ) -> None:
        super().__init__()
        is_int8 = plan.embeddings == "int8"
        edge_graph = EdgeGraph(
            weights,
            tokens=embedding_table(weights.token_embeddings, is_int8=is_int8),
            positions=embedding_table(weights.position_embeddings[: settings.sequence_length], is_int8=is_int8),
        )
        tokenizer = GraphTokenizer(settings, vocabulary)
        text = tf.TensorSpec([None], tf.int32, name="text")
        token_ids = tf.TensorSpec([None, None], tf.int32, name="token_ids")

        @tf.function(input_signature=[text])  # type: ignore[untyped-decorator]
        def classify_text(text: Any) -> dict[str, Any]:
            token_ids = tokenizer(text)
            if settings.special_tokens:  # a text may spell [PAD], which the classifier masks wherever it stands
                return {"probabilities": edge_graph.classify_batch(token_ids, settings.pad_id)}
            return {"probabilities": edge_graph.classify(token_ids)}

        @tf.function(input_signature=[text])  # type: ignore[untyped-decorator]
        def tokenize(text: Any) -> dict[str, Any]:
            return {"token_ids": tokenizer(text)}

        @tf.function(input_signature=[token_ids])  # type: ignore[untyped-decorator]
        def classify_tokens(token_ids: Any) -> dict[str, Any]:
            return {"probabilities": edge_graph.classify_batch(token_ids, settings.pad_id)}

        self.functions = {CLASSIFY_TEXT: classify_text, TOKENIZE: tokenize, CLASSIFY_TOKENS: classify_tokens}
