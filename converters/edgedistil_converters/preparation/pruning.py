"""Vocabulary pruning: a smaller classifier with only the pieces that its texts need.

A multilingual DistilBERT has two thirds of its parameters in the embeddings of 119,547 pieces; one task in one language
uses a few thousand of them. Dropping a row of the embedding table changes nothing for a text that does not use it: the
tokenizer takes the longest piece that fits, and the longest of all pieces is also the longest of those kept. Words of
dropped pieces are split into shorter pieces, in the end into characters.

The result is an ordinary KerasHub classifier, so the steps after it (conversion, verification, golden cases) work as if
it had always had the small vocabulary. The report contains the differences from the full classifier.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistil_converters.model.folded_bert import FoldedBertTextClassifier, is_distil_bert
from edgedistil_converters.model.keras_token_ids import token_id_rows
from edgedistil_converters.preparation.pieces import PieceChoice, choose_pieces, texts_with_piece
from edgedistil_converters.tokenizer.settings import read_tokenizer
from edgedistil_converters.verification.keras_answers import answer_with_keras
from edgedistil_runtime.errors import ConversionError, DataError

__all__ = [
    "PrunedClassifier",
    "PruningReport",
    "choose_preprocessor_pieces",
    "preprocessor_with_pieces",
    "prune_classifier",
]

Ids = NDArray[np.int32]

_TEXTS_TO_CLASSIFY = 256  # at most, of those whose ids changed: enough for an error of a few percent


@dataclass(frozen=True)
class PruningReport:
    """The effects of pruning.

    Attributes:
        vocabulary_before: Number of pieces in the full vocabulary.
        vocabulary_after: Number of pieces that were kept.
        texts: Number of texts that chose the pieces.
        unchanged: Share of these texts, 0 to 1, whose token ids, mapped back, are the full tokenizer's; their
            probabilities are equal too. Below 1 only with a given `vocabulary_size`, or if an unknown word has become
            known.
        unchanged_unseen: Estimate of that share for other texts of the same kind (leave-one-out: for each text, as if
            only the others had chosen the pieces).
        unknown_before: Share of unknown tokens in these texts with the full tokenizer.
        unknown_after: Share of unknown tokens in these texts with the pruned tokenizer.
        label_agreement: Share of these texts that keep their label, estimated from at most 256 of those with changed
            token ids.
    """

    vocabulary_before: int
    vocabulary_after: int
    texts: int
    unchanged: float
    unchanged_unseen: float
    unknown_before: float
    unknown_after: float
    label_agreement: float

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class PrunedClassifier:
    """A classifier with a smaller vocabulary.

    Attributes:
        classifier: A new `keras_hub.models.DistilBertTextClassifier` with its preprocessor.
        kept: int32[pieces], the old id of each new id; `kept[token_ids]` maps new ids back.
        report: The effects of pruning.
    """

    classifier: Any
    kept: Ids
    report: PruningReport


def prune_classifier(classifier: Any, texts: Iterable[str], *, vocabulary_size: int | None = None) -> PrunedClassifier:
    """Build a classifier with the same weights and only the pieces that texts need.

    Keeps the special tokens, all pieces that the texts use, and all single characters of the vocabulary, at the start
    of words and inside them. See `choose_pieces` for the order in which a given size keeps them.

    Args:
        classifier: A `keras_hub.models.DistilBertTextClassifier` with its preprocessor; it is not changed.
        texts: Texts like those that the classifier will classify, such as its training texts. Only the first
            `sequence_length` tokens of a text count.
        vocabulary_size: Number of pieces to keep; all that the texts and single characters need by default.

    Returns:
        The new classifier and a report.

    Raises:
        DataError: There are no texts, or not all texts are strings.
        ConversionError: The classifier has no preprocessor or one that cannot be converted, its weights cannot be
            copied, or `vocabulary_size` is too small.

    Example:
        >>> import keras_hub
        >>> classifier = keras_hub.models.DistilBertTextClassifier.from_preset("intents")
        >>> pruned = prune_classifier(classifier, ["turn the lights on", "play some music"])
        >>> pruned.report.vocabulary_before, pruned.report.vocabulary_after
        (23, 15)
    """
    texts = _checked_texts(texts)
    _check_classifier(classifier)
    rows = token_id_rows(classifier.preprocessor, texts)
    pieces = classifier.preprocessor.tokenizer.vocabulary_size()
    choice = choose_preprocessor_pieces(
        classifier.preprocessor, texts_with_piece(rows, pieces), vocabulary_size=vocabulary_size
    )
    pruned = _with_pieces(classifier, choice.kept)
    report = _report(classifier, pruned, choice, texts, rows)
    return PrunedClassifier(classifier=pruned, kept=choice.kept, report=report)


def choose_preprocessor_pieces(
    preprocessor: Any, text_counts: NDArray[np.int64], *, vocabulary_size: int | None = None
) -> PieceChoice:
    """Choose the pieces of a preprocessor's vocabulary to keep, its special and added tokens among them.

    Args:
        preprocessor: A `keras_hub.models.DistilBertTextClassifierPreprocessor`.
        text_counts: int64[vocabulary], the number of texts in which each piece occurs.
        vocabulary_size: Number of pieces to keep; all that the texts and single characters need by default.

    Raises:
        ConversionError: The preprocessor cannot be converted, or `vocabulary_size` is too small.

    Example:
        >>> import keras_hub
        >>> preprocessor = keras_hub.models.DistilBertTextClassifierPreprocessor.from_preset("intents")
        >>> choice = choose_preprocessor_pieces(preprocessor, np.zeros(23, np.int64), vocabulary_size=6)
        >>> preprocessor_with_pieces(preprocessor, choice.kept).tokenizer.get_vocabulary()[:4]
        ['[PAD]', '[UNK]', '[CLS]', '[SEP]']
    """
    settings, vocabulary = read_tokenizer(preprocessor)
    return choose_pieces(
        vocabulary,
        text_counts,
        special_tokens={
            *_special_tokens(preprocessor),
            *settings.special_tokens,
            *(token.content for token in settings.added_tokens),
            settings.oov_token,
        },
        suffix_indicator=settings.suffix_indicator,
        vocabulary_size=vocabulary_size,
    )


def _checked_texts(texts: Iterable[str]) -> tuple[str, ...]:
    found = (texts,) if isinstance(texts, (str, bytes)) else tuple(texts)
    wrong = [text for text in found if not isinstance(text, str)]
    if wrong or isinstance(texts, str):
        raise DataError(
            "The texts that choose the vocabulary must be a list of strings. "
            f"Received: {wrong[0] if wrong else texts!r}"[:200]
        )
    if not found:
        raise DataError(
            "The vocabulary is pruned to the pieces that texts need, so there must be texts. Received: 0 texts. Pass "
            "the training texts."
        )
    return found


def _check_classifier(classifier: Any) -> None:
    if getattr(classifier, "preprocessor", None) is None:
        raise ConversionError(
            "The classifier needs its preprocessor, which contains the vocabulary. Received: preprocessor=None. "
            "Set classifier.preprocessor to a DistilBertTextClassifierPreprocessor."
        )
    backbone = classifier.backbone
    if not is_distil_bert(backbone):
        raise ConversionError(
            "Only a DistilBertTextClassifier with a DistilBertBackbone can be pruned. "
            f"Received: a backbone of type {type(backbone).__name__}."
        )
    size = classifier.preprocessor.tokenizer.vocabulary_size()
    if size > backbone.vocabulary_size:
        raise ConversionError(
            f"The vocabulary has {size} pieces and the embedding table {backbone.vocabulary_size} rows. "
            "The tokenizer belongs to another backbone; load both from one preset."
        )


def _special_tokens(preprocessor: Any) -> set[str]:
    """Return KerasHub's special tokens and [UNK], which the vocabulary may contain besides another unknown token."""
    return {*map(str, preprocessor.tokenizer.special_tokens), "[UNK]"}


def _with_pieces(classifier: Any, kept: Ids) -> Any:
    """Build a classifier whose embedding table and tokenizer have only the pieces `kept`."""
    config = {**classifier.backbone.get_config(), "vocabulary_size": len(kept)}
    options = {}
    if isinstance(classifier, FoldedBertTextClassifier):
        options["pooled_activation"] = classifier.pooled_activation
    pruned = type(classifier)(
        type(classifier.backbone).from_config(config),
        classifier.num_classes,
        preprocessor=preprocessor_with_pieces(classifier.preprocessor, kept),
        activation=classifier.activation,
        hidden_dim=classifier.hidden_dim,
        dropout=classifier.dropout,
        name=classifier.name,
        **options,
    )
    _copy_weights(classifier, pruned, kept)
    return pruned


def preprocessor_with_pieces(preprocessor: Any, kept: Ids) -> Any:
    """Build the same preprocessor with the pieces of the ids `kept` only; the index in `kept` is the new id."""
    tokenizer = preprocessor.tokenizer
    vocabulary = tokenizer.get_vocabulary()
    config = {**tokenizer.get_config(), "vocabulary": [vocabulary[i] for i in kept]}
    if "added_tokens" in config:  # Hugging Face's rules
        number = {old: new for new, old in enumerate(kept.tolist())}
        config["added_tokens"] = [{**token, "id": number[token["id"]]} for token in config["added_tokens"]]
    else:
        config["split_on_cjk"] = tokenizer.split_on_cjk  # KerasHub 0.32 leaves it out of the config
    return type(preprocessor)(
        type(tokenizer).from_config(config),
        sequence_length=preprocessor.sequence_length,
        truncate=preprocessor.truncate,
        name=preprocessor.name,
    )


def _copy_weights(source: Any, target: Any, kept: Ids) -> None:
    """Copy variable by variable, so that no further copy of all weights is ever in memory."""
    table = source.backbone.token_embedding.embeddings
    shapes = [(len(kept), *v.shape[1:]) if v is table else tuple(v.shape) for v in source.weights]
    if shapes != [tuple(variable.shape) for variable in target.weights]:
        raise ConversionError(
            "The classifier must not be quantized or have adapters (LoRA): its weights must be those of a plain "
            f"DistilBertTextClassifier. Received: {len(shapes)} others ({len(target.weights)} expected). "
            "Merge the adapters with save_to_preset and load the classifier again, or prune before quantizing."
        )
    for variable, new in zip(source.weights, target.weights, strict=True):
        values = np.asarray(variable.numpy())
        new.assign(values[kept] if variable is table else values)


def _report(classifier: Any, pruned: Any, choice: PieceChoice, texts: Sequence[str], rows: Ids) -> PruningReport:
    pruned_rows = token_id_rows(pruned.preprocessor, texts)
    is_unchanged = (choice.kept[pruned_rows] == rows).all(axis=1)
    return PruningReport(
        vocabulary_before=classifier.preprocessor.tokenizer.vocabulary_size(),
        vocabulary_after=len(choice.kept),
        texts=len(texts),
        unchanged=float(is_unchanged.mean()),
        unchanged_unseen=float(choice.is_lasting[rows].all(axis=1).mean()),
        unknown_before=_unknown_share(classifier.preprocessor.tokenizer, rows),
        unknown_after=_unknown_share(pruned.preprocessor.tokenizer, pruned_rows),
        label_agreement=_label_agreement(classifier, pruned, texts, is_unchanged),
    )


def _unknown_share(tokenizer: Any, rows: Ids) -> float:
    """Return the share of unknown tokens among all except padding, [CLS] and [SEP]."""
    tokens = ~np.isin(rows, [tokenizer.pad_token_id, tokenizer.start_token_id, tokenizer.end_token_id])
    return float((rows == tokenizer.token_to_id(tokenizer.oov_token)).sum() / max(1, tokens.sum()))


def _label_agreement(classifier: Any, pruned: Any, texts: Sequence[str], is_unchanged: NDArray[np.bool_]) -> float:
    """Return the share of texts with the same label. Texts with equal ids have equal labels and are not classified."""
    changed = np.flatnonzero(~is_unchanged)
    if not changed.size:
        return 1.0
    chosen = changed[np.linspace(0, changed.size - 1, min(changed.size, _TEXTS_TO_CLASSIFY)).astype(np.int64)].tolist()
    before, after = (_labels(model, [texts[i] for i in chosen]) for model in (classifier, pruned))
    return float(1 - changed.size / len(texts) * (before != after).mean())


def _labels(classifier: Any, texts: Sequence[str]) -> NDArray[np.int64]:
    probabilities = np.array([answer.probabilities for answer in answer_with_keras(classifier, texts)])
    is_binary = probabilities.shape[1] == 1
    labels = probabilities[:, 0] > 0.5 if is_binary else probabilities.argmax(axis=1)
    return np.asarray(labels, np.int64)
