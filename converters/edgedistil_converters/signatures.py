"""The signatures of a file as one TensorFlow module over shared weights."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from edgedistil_converters.graph.classifier import EdgeGraph, find_padding
from edgedistil_converters.graph.embeddings import embedding_table
from edgedistil_converters.interface import ModelInterface
from edgedistil_converters.model.weights import ClassifierWeights
from edgedistil_converters.quantization.plan import QuantizationPlan
from edgedistil_converters.sites import EMBEDDING_SITES
from edgedistil_converters.targets.mediapipe import check_mediapipe_tokenizer, mediapipe_features
from edgedistil_converters.tokenizer.graph import GraphTokenizer
from edgedistil_converters.tokenizer.tftext import CUSTOM_OPS, TFTextTokenizer
from edgedistil_runtime.artifact import TokenizerSettings
from edgedistil_runtime.contract import (
    BUILTIN,
    CLASSIFY_TEXT,
    CLASSIFY_TEXT_PAIR,
    CLASSIFY_TOKENS,
    EMBED,
    HUGGING_FACE,
    PROBABILITIES,
    SERVING_DEFAULT,
    TEXT,
    TEXT_PAIR,
    TFTEXT,
    TOKEN_COUNT,
    TOKEN_IDS,
    TOKENIZE,
    TOKENIZE_PAIR,
    UNKNOWN_SCORE,
    fixed_embed,
    fixed_text,
    fixed_tokenize,
    fixed_tokens,
)
from edgedistil_runtime.errors import ConversionError

__all__ = ["DEFAULT_SHAPES", "FixedShapes", "TextClassifierModule", "check_pairs", "check_signatures", "custom_ops"]

_TEXT, _TEXT_PAIR = (tf.TensorSpec([None], tf.int32, name=name) for name in (TEXT, TEXT_PAIR))  # UTF-8 bytes
_STRING = tf.TensorSpec([1], tf.string, name=TEXT)
_TOKEN_IDS = tf.TensorSpec([None, None], tf.int32, name=TOKEN_IDS)

_SHORTEST_PAIR = 3
_LEAST_BYTES, _BYTES_OF_TOKEN = 128, 8

# Shapes for runtimes that cannot resize an input; the others may resize every -1.
DEFAULT_SHAPES: Mapping[str, Mapping[str, tuple[int, ...]]] = {
    CLASSIFY_TEXT: {TEXT: (256,)},
    TOKENIZE: {TEXT: (256,)},
    CLASSIFY_TEXT_PAIR: {TEXT: (256,), TEXT_PAIR: (256,)},
    TOKENIZE_PAIR: {TEXT: (256,), TEXT_PAIR: (256,)},
    CLASSIFY_TOKENS: {TOKEN_IDS: (1, 64)},
    EMBED: {TOKEN_IDS: (1, 64)},
}


def check_signatures(interface: ModelInterface, settings: TokenizerSettings, vocabulary: Sequence[str]) -> None:
    """Refuses an interface that a tokenizer cannot have.

    Raises:
        ConversionError: Rows of token ids that are too short for pairs, or a tokenizer that is not MediaPipe's.
    """
    if interface.takes_text_pair and settings.sequence_length < _SHORTEST_PAIR:
        raise ConversionError(
            "A pair of texts needs a sequence_length of at least 3, for [CLS] and two [SEP]. "
            f"Received: {settings.sequence_length}."
        )
    if interface.metadata == "mediapipe":
        check_mediapipe_tokenizer(settings, vocabulary)


def check_pairs(interface: ModelInterface, pooled_activation: str) -> None:
    """Refuses pairs of texts for a classifier that came with a BERT's trained head.

    Raises:
        ConversionError: Pairs are asked for, and the head's hidden layer has a tanh.

    Example:
        >>> check_pairs(ModelInterface(takes_text_pair=True), "relu")
    """
    if interface.takes_text_pair and pooled_activation == "tanh":
        raise ConversionError(
            "A BERT adds another segment embedding to the second of two texts, and a classifier here has the first "
            "only, so pairs (`takes_text_pair`) would get other answers. Received: a BERT's head (tanh). Convert it "
            "for single texts, or train a new head on a DistilBERT."
        )


def custom_ops(interface: ModelInterface) -> frozenset[str]:
    """Returns the names of the ops that a file has although they are no builtins.

    Example:
        >>> custom_ops(ModelInterface("builtin"))
        frozenset()
    """
    return CUSTOM_OPS if interface.tokenizer == TFTEXT else frozenset()


@dataclass(frozen=True)
class FixedShapes:
    """The signatures of a file whose shapes are fixed.

    Attributes:
        lengths: Lengths of rows of token ids, ascending.
        encoder_lengths: The same of the encoder for an accelerator, for `embed` and `tokenize`.
        are_alone: True for a file without signatures of open shapes and without text, for an NPU.
        takes_text: True if there are signatures that take a text.

    Example:
        >>> FixedShapes((16, 32)).num_bytes(32)
        256
    """

    lengths: tuple[int, ...] = ()
    encoder_lengths: tuple[int, ...] = ()
    are_alone: bool = False
    takes_text: bool = True

    @staticmethod
    def num_bytes(length: int) -> int:
        """Returns the bytes of the text for a row: English text has 4 to 5 for each token id."""
        return max(_LEAST_BYTES, _BYTES_OF_TOKEN * length)

    def to_dict(self) -> dict[str, Any]:
        """Returns the shapes as plain data: the lengths, and the bytes of the text for each."""
        takes_text = self.takes_text and not self.are_alone
        texts = [self.num_bytes(length) for length in self.lengths] if takes_text else []
        return {"lengths": list(self.lengths), "text_bytes": texts}


class TextClassifierModule(tf.Module):  # type: ignore[misc]  # tensorflow has no types
    """Text or token ids in, probabilities out.

    Args:
        weights: Weights of the classifier.
        settings: Options of its tokenizer.
        vocabulary: One piece an id.
        plan: Decides how the embedding tables are stored.
        interface: Decides which signatures there are.
        encoder_inputs: Function that makes the inputs of an accelerator's encoder, see `targets.parts.TargetEncoder`;
            None for a model without one.
        has_unknown_score: True if the signatures that classify have a second output, `unknown_score`.
        fixed: Decides which signatures of fixed shapes there are; none by default.

    Attributes:
        functions: Name of a signature -> its traced function.
        weight_dtypes: Site -> dtype that its weights have in the file.
    """

    def __init__(
        self,
        weights: ClassifierWeights,
        settings: TokenizerSettings,
        vocabulary: Sequence[str],
        plan: QuantizationPlan,
        interface: ModelInterface,
        encoder_inputs: Callable[[Any, Any], Mapping[str, Any]] | None = None,
        *,
        has_unknown_score: bool = False,
        fixed: FixedShapes | None = None,
    ) -> None:
        super().__init__()
        self._settings = settings
        self.weight_dtypes = plan.weight_dtypes(len(weights.layers))
        tokens, positions = (self.weight_dtypes[site] for site in EMBEDDING_SITES)
        self._graph = EdgeGraph(
            weights,
            tokens=embedding_table(weights.token_embeddings, tokens),
            positions=embedding_table(weights.position_embeddings[: settings.sequence_length], positions),
            has_unknown_score=has_unknown_score,
        )
        self._outputs = (PROBABILITIES, UNKNOWN_SCORE) if has_unknown_score else (PROBABILITIES,)
        self.functions = self._functions(settings, vocabulary, interface, fixed or FixedShapes())
        if encoder_inputs is not None:
            self.functions[EMBED] = self._embed(encoder_inputs)
            for length in fixed.encoder_lengths if fixed else ():
                self.functions[fixed_embed(length)] = self._embed(encoder_inputs, length)

    def _functions(
        self, settings: TokenizerSettings, vocabulary: Sequence[str], interface: ModelInterface, fixed: FixedShapes
    ) -> dict[str, Any]:
        rows = {fixed_tokens(length): self._fixed_tokens(length) for length in fixed.lengths}
        if fixed.are_alone:
            return rows
        if interface.metadata == "mediapipe":
            return {SERVING_DEFAULT: mediapipe_features(self._graph, settings)}
        functions = {CLASSIFY_TOKENS: _function(self._classify_rows, self._outputs, _TOKEN_IDS), **rows}
        if interface.tokenizer == TFTEXT:
            functions |= self._text_functions(CLASSIFY_TEXT, TOKENIZE, TFTextTokenizer(settings, vocabulary), _STRING)
        if interface.tokenizer == BUILTIN:
            tokenizer = GraphTokenizer(settings, vocabulary)
            functions |= self._text_functions(CLASSIFY_TEXT, TOKENIZE, tokenizer, _TEXT)
            if interface.takes_text_pair:
                functions |= self._text_functions(CLASSIFY_TEXT_PAIR, TOKENIZE_PAIR, tokenizer.pair, _TEXT, _TEXT_PAIR)
            for length in fixed.encoder_lengths:
                num_bytes = fixed.num_bytes(length)
                functions[fixed_tokenize(num_bytes, length)] = self._fixed_tokenize(tokenizer, num_bytes, length)
            for length in fixed.lengths:
                num_bytes = fixed.num_bytes(length)
                functions[fixed_text(num_bytes, length)] = self._fixed_text(tokenizer, num_bytes, length)
        return functions

    def _embed(self, encoder_inputs: Callable[[Any, Any], Mapping[str, Any]], length: int | None = None) -> Any:
        @tf.function(input_signature=[tf.TensorSpec([1, length], tf.int32, name=TOKEN_IDS)], autograph=False)  # type: ignore[untyped-decorator]
        def embed(token_ids: Any) -> Mapping[str, Any]:
            embeddings = self._graph.embed(token_ids) if length is None else self._graph.embed_fixed(token_ids)
            return encoder_inputs(embeddings, self._mask(token_ids))

        return embed

    def _fixed_tokens(self, length: int) -> Any:
        return _function(self._classify_fixed, self._outputs, tf.TensorSpec([1, length], tf.int32, name=TOKEN_IDS))

    @staticmethod
    def _fixed_tokenize(tokenizer: GraphTokenizer, num_bytes: int, length: int) -> Any:
        outputs, text = (TOKEN_IDS, TOKEN_COUNT), tf.TensorSpec([num_bytes], tf.int32, name=TEXT)
        return _function(lambda text: tokenizer.fixed_row(text, length), outputs, text)

    def _fixed_text(self, tokenizer: GraphTokenizer, num_bytes: int, length: int) -> Any:
        def classify(text: Any) -> tuple[Any, ...]:
            row, count = tokenizer.fixed_row(text, length)
            found = self._classify_fixed(row)
            return *(found if len(self._outputs) > 1 else (found,)), count

        outputs = (*self._outputs, TOKEN_COUNT)
        return _function(classify, outputs, tf.TensorSpec([num_bytes], tf.int32, name=TEXT))

    def _classify_fixed(self, token_ids: Any) -> Any:
        is_only_at_end = self._settings.rules == HUGGING_FACE
        return self._graph.classify_fixed(token_ids, self._settings.pad_id, is_only_at_end=is_only_at_end)

    def _text_functions(
        self, classify: str, tokenize: str, tokenizer: Callable[..., Any], *texts: tf.TensorSpec
    ) -> dict[str, Any]:
        """The two signatures that one tokenizer gives: probabilities and token ids."""
        return {
            classify: _function(lambda *values: self._classify(tokenizer(*values)), self._outputs, *texts),
            tokenize: _function(tokenizer, (TOKEN_IDS,), *texts),
        }

    def _classify(self, token_ids: Any) -> Any:
        if self._settings.special_tokens:  # a text may contain [PAD], which the classifier masks at every position
            return self._classify_rows(token_ids)
        return self._graph.classify(token_ids)

    def _classify_rows(self, token_ids: Any) -> Any:
        is_only_at_end = self._settings.rules == HUGGING_FACE
        return self._graph.classify_batch(token_ids, self._settings.pad_id, is_only_at_end=is_only_at_end)

    def _mask(self, token_ids: Any) -> Any:
        """The mask of one row: int32[1, m] -> float32[m], 1 at tokens."""
        if self._settings.rules == HUGGING_FACE:
            is_padding = find_padding(token_ids, self._settings.pad_id, is_only_at_end=True)
            return 1 - tf.cast(is_padding[0], tf.float32)
        return tf.cast(tf.not_equal(token_ids[0], self._settings.pad_id), tf.float32)


def _function(compute: Callable[..., Any], outputs: Sequence[str], *inputs: tf.TensorSpec) -> Any:
    """A `tf.function` with named outputs; AutoGraph, which rewrites Python loops and branches, is not needed."""

    def named(*values: Any) -> dict[str, Any]:
        found = compute(*values)
        return dict(zip(outputs, found if len(outputs) > 1 else (found,), strict=True))

    return tf.function(named, input_signature=inputs, autograph=False)
