"""Hugging Face's rules in KerasHub's classes, so that training, prediction and presets use them without knowing.

`HuggingFaceTokenizer` and `HuggingFacePreprocessor` take the places of `DistilBertTokenizer` and
`DistilBertTextClassifierPreprocessor` in a classifier. The token ids are those of the library `tokenizers`. Presets
contain the rules: importing this module registers the classes with Keras, so that KerasHub can read them.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import keras_hub
import numpy as np
import tensorflow as tf
import tokenizers
from keras_hub.src.utils.tensor_utils import preprocessing_function
from numpy.typing import NDArray

from edgedistil_converters.tokenizer.hugging_face import HuggingFaceRules, RowEncoder, build_tokenizer
from edgedistil_runtime.contract import LONGEST_FIRST
from edgedistil_runtime.metadata import AddedToken

__all__ = ["HuggingFacePreprocessor", "HuggingFaceTokenizer"]

_VOCABULARY_FILE = "vocabulary.txt"


@keras.saving.register_keras_serializable("edgedistil")
class HuggingFaceTokenizer(keras_hub.models.DistilBertTokenizer):  # type: ignore[misc]  # keras_hub has no types
    """A `DistilBertTokenizer` with the token ids of `tokenizers`.

    Args:
        vocabulary: Pieces and added tokens, the index is the token id; None until the file of a preset is read.
        lowercase, strip_accents, clean_text, handle_chinese_chars, max_input_chars_per_word: As in `HuggingFaceRules`.
        suffix_indicator: Hugging Face's `continuing_subword_prefix`.
        oov_token: Hugging Face's `unk_token`.
        added_tokens: `AddedToken`s or dictionaries of their fields. Special tokens must be among them, because
            Hugging Face's tokenizers find them in every text.
        kwargs: Arguments of every `DistilBertTokenizer`, such as `name`.

    Raises:
        ConversionError: The added tokens do not fit the vocabulary, see `build_tokenizer`.

    Example:
        >>> vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cafe", "##s"]
        >>> HuggingFaceTokenizer(vocabulary)(["Cafés", "the café"]).to_list()
        [[5, 6], [1, 5]]
    """

    def __init__(
        self,
        vocabulary: Sequence[str] | None = None,
        lowercase: bool = True,
        strip_accents: bool | None = None,
        clean_text: bool = True,
        handle_chinese_chars: bool = True,
        max_input_chars_per_word: int = 100,
        added_tokens: Sequence[AddedToken | dict[str, Any]] = (),
        suffix_indicator: str = "##",
        oov_token: str = "[UNK]",
        **kwargs: Any,
    ) -> None:
        tokens = (token if isinstance(token, AddedToken) else AddedToken(**token) for token in added_tokens)
        self._rules = HuggingFaceRules(
            clean_text=clean_text,
            handle_chinese_chars=handle_chinese_chars,
            strip_accents=lowercase if strip_accents is None else strip_accents,
            lowercase=lowercase,
            max_input_chars_per_word=max_input_chars_per_word,
            continuing_subword_prefix=suffix_indicator,
            unk_token=oov_token,
            added_tokens=tuple(sorted(tokens, key=lambda token: token.id)),
        )
        super().__init__(
            vocabulary,
            lowercase=lowercase,
            strip_accents=self._rules.is_stripped,
            split_on_cjk=handle_chinese_chars,
            suffix_indicator=suffix_indicator,
            oov_token=oov_token,
            **kwargs,
        )

    @property
    def rules(self) -> HuggingFaceRules:
        """The options of the tokenizer."""
        return self._rules

    @property
    def library_tokenizer(self) -> tokenizers.Tokenizer:
        """The tokenizer of the library `tokenizers`, which must not be changed."""
        self._check_vocabulary()
        assert self._library_tokenizer is not None
        return self._library_tokenizer

    def set_vocabulary(self, vocabulary: Any) -> None:
        """Set the pieces and added tokens, a sequence or the path of a file with one in each line."""
        if isinstance(vocabulary, str | Path):
            vocabulary = Path(vocabulary).read_bytes().decode().removesuffix("\n").split("\n")
        super().set_vocabulary(vocabulary)
        self._library_tokenizer = None if vocabulary is None else build_tokenizer(self._rules, self.vocabulary)

    def _set_vocabulary_tf(self) -> None:
        """Leave out TensorFlow Text's tokenizer, which has other rules."""

    def save_assets(self, dir_path: str) -> None:
        """Write the vocabulary into a folder."""
        content = "".join(f"{piece}\n" for piece in self.get_vocabulary())
        (Path(dir_path) / _VOCABULARY_FILE).write_bytes(content.encode())

    def load_assets(self, dir_path: str) -> None:
        """Read the vocabulary from a folder; unlike KerasHub, white space at the end of a piece is kept."""
        content = (Path(dir_path) / _VOCABULARY_FILE).read_bytes().decode()
        self.set_vocabulary(content.removesuffix("\n").split("\n"))

    def tokenize(self, inputs: Any) -> Any:
        """Return the token ids of texts, without `[CLS]` and `[SEP]`: ragged int32[texts, None], or int32[None]."""
        texts = tf.convert_to_tensor(inputs, tf.string)
        ids, lengths = tf.numpy_function(self._encode, [tf.reshape(texts, [-1])], (tf.int32, tf.int64))
        ids.set_shape([None]), lengths.set_shape([texts.shape.num_elements()])
        return ids if texts.shape.rank == 0 else tf.RaggedTensor.from_row_lengths(ids, lengths)

    def _encode(self, texts: NDArray[np.object_]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        rows = [self.library_tokenizer.encode(decoded(text), add_special_tokens=False).ids for text in texts]
        return np.array([i for row in rows for i in row], np.int32), np.array([len(row) for row in rows], np.int64)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor, without the vocabulary, which is in a file of its own."""
        config: dict[str, Any] = super().get_config()
        for key in ("split", "sequence_length", "special_tokens", "special_tokens_in_strings"):
            del config[key]
        return config | {
            "clean_text": self._rules.clean_text,
            "handle_chinese_chars": self._rules.handle_chinese_chars,
            "max_input_chars_per_word": self._rules.max_input_chars_per_word,
            "added_tokens": [asdict(token) for token in self._rules.added_tokens],
        }


@keras.saving.register_keras_serializable("edgedistil")
class HuggingFacePreprocessor(keras_hub.models.DistilBertTextClassifierPreprocessor):  # type: ignore[misc]
    """A `DistilBertTextClassifierPreprocessor` with the rows of `transformers`.

    It differs from KerasHub's in the mask, which covers the padding but no `[PAD]` that a text contains, and in how two
    texts share a row: `longest_first`.

    Args:
        tokenizer: A `HuggingFaceTokenizer`.
        sequence_length: Length of a row with `[CLS]` and `[SEP]`.
        truncate: `longest_first`, the only possible value.
        kwargs: Arguments of every preprocessor, such as `name`.

    Example:
        >>> vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cafe", "##s"]
        >>> preprocessor = HuggingFacePreprocessor(HuggingFaceTokenizer(vocabulary), sequence_length=5)
        >>> preprocessor(["Cafés"])["token_ids"].numpy().tolist()
        [[2, 5, 6, 3, 0]]
    """

    tokenizer_cls = HuggingFaceTokenizer

    def __init__(
        self, tokenizer: HuggingFaceTokenizer, sequence_length: int = 512, truncate: str = LONGEST_FIRST, **kwargs: Any
    ) -> None:
        if truncate != LONGEST_FIRST:
            raise ValueError(f"`truncate` must be {LONGEST_FIRST!r}. Received: {truncate!r}.")
        super().__init__(tokenizer, sequence_length=sequence_length, truncate=truncate, **kwargs)
        self._encoder: tuple[Any, RowEncoder] | None = None

    def build(self, input_shape: Any) -> None:
        """Do nothing: KerasHub's packer is not used."""
        self.built = True

    @preprocessing_function  # type: ignore[untyped-decorator]
    def call(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Return `token_ids` and `padding_mask`, [texts, sequence_length], of texts or of a tuple of two."""
        columns = [tf.convert_to_tensor(column, tf.string) for column in (x if isinstance(x, tuple) else (x,))]
        flat = [tf.reshape(column, [-1]) for column in columns]
        token_ids, mask = tf.numpy_function(self._rows, flat, (tf.int32, tf.bool))
        shape = [*columns[0].shape, self.sequence_length]
        features = {
            name: tf.ensure_shape(tf.reshape(values, [*tf.unstack(tf.shape(columns[0])), self.sequence_length]), shape)
            for name, values in (("token_ids", token_ids), ("padding_mask", mask))
        }
        return keras.utils.pack_x_y_sample_weight(features, y, sample_weight)

    def _rows(self, *columns: NDArray[np.object_]) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        encode = self._row_encoder()
        return encode(*([decoded(text) for text in column] for column in columns))

    def _row_encoder(self) -> RowEncoder:
        """Return an encoder for the present tokenizer and length, both of which may be set at any time."""
        tokenizer = self.tokenizer
        key = (tokenizer.library_tokenizer, self.sequence_length)
        if self._encoder is None or self._encoder[0] != key:
            tokens = [
                (t, tokenizer.token_to_id(t)) for t in (tokenizer.cls_token, tokenizer.sep_token, tokenizer.pad_token)
            ]
            self._encoder = key, RowEncoder(key[0], self.sequence_length, *tokens)
        return self._encoder[1]


def decoded(text: bytes) -> str:
    r"""Return UTF-8 as a string up to its first NUL, where a text ends in a file too, with U+FFFD for ill-formed bytes.

    Example:
        >>> decoded(b"caf\xc3\xa9\xff\0s")
        'café�'
    """
    return text.split(b"\0")[0].decode("utf-8", "replace")
