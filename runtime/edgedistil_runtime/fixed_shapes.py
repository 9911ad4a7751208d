"""Signatures of fixed shapes, for backends that cannot resize an input: which there are, and which one holds a text.

A backend lists the signatures that it can run. One that lists `classify_text` or `classify_tokens` takes any length,
and the signatures here are not needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from edgedistil_runtime.contract import CLASSIFY_TEXT, CLASSIFY_TOKENS, EMBED, TOKENIZE
from edgedistil_runtime.errors import InputError

__all__ = ["FixedSignatures", "TextShape", "is_fixed"]

_TEXT = re.compile(rf"{CLASSIFY_TEXT}_([1-9]\d*)_([1-9]\d*)")
_TOKENS = re.compile(rf"{CLASSIFY_TOKENS}_([1-9]\d*)")
_OTHERS = re.compile(rf"{EMBED}_[1-9]\d*|{TOKENIZE}_[1-9]\d*_[1-9]\d*")


class TextShape(NamedTuple):
    """The sizes of a signature that takes a text.

    Attributes:
        num_bytes: Bytes of the input; zeros after the text.
        length: Token ids that it reads.
    """

    num_bytes: int
    length: int


@dataclass(frozen=True)
class FixedSignatures:
    """The fixed shapes of a model.

    Attributes:
        texts: Shapes of the signatures that take a text, ascending.
        lengths: Lengths of the rows of token ids that signatures take, ascending.

    Example:
        >>> FixedSignatures.among(["classify_text", "classify_text_256_32", "classify_tokens_32", "embed_32"])
        FixedSignatures(texts=(TextShape(num_bytes=256, length=32),), lengths=(32,))
    """

    texts: tuple[TextShape, ...] = ()
    lengths: tuple[int, ...] = ()

    @classmethod
    def among(cls, signatures: Iterable[str]) -> FixedSignatures:
        """Return the fixed shapes among the names of signatures."""
        names = list(signatures)
        texts = [TextShape(int(m[1]), int(m[2])) for m in map(_TEXT.fullmatch, names) if m]
        lengths = [int(m[1]) for m in map(_TOKENS.fullmatch, names) if m]
        return cls(tuple(sorted(texts, key=lambda shape: shape.length)), tuple(sorted(lengths)))

    def length_for(self, count: int) -> int:
        """Return the smallest length that holds a row of `count` token ids.

        Raises:
            InputError: None does.

        Example:
            >>> FixedSignatures(lengths=(16, 32)).length_for(17)
            32
        """
        for length in self.lengths:
            if length >= count:
                return length
        raise InputError(
            f"The model takes rows of at most {self.lengths[-1]} token ids, its largest fixed length. "
            f"Received: {count}. Cut the row, or convert again with a larger one (`fixed_lengths`)."
        )

    def shapes_for(self, num_bytes: int) -> tuple[TextShape, ...]:
        """Return the shapes that hold a text of so many bytes, the smallest first.

        Raises:
            InputError: None does.

        Example:
            >>> FixedSignatures((TextShape(128, 16), TextShape(256, 32))).shapes_for(200)
            (TextShape(num_bytes=256, length=32),)
        """
        found = tuple(shape for shape in self.texts if shape.num_bytes >= num_bytes)
        if not found:
            raise InputError(
                f"The model takes texts of at most {self.most_bytes} bytes, those of its largest fixed length. "
                f"Received: {num_bytes} bytes. Shorten the text, or convert again with a larger one (`fixed_lengths`)."
            )
        return found

    @property
    def most_bytes(self) -> int:
        """The bytes of the longest text that a signature takes; 0 if none takes a text.

        Example:
            >>> FixedSignatures().most_bytes
            0
        """
        return max((shape.num_bytes for shape in self.texts), default=0)


def is_fixed(signature: str) -> bool:
    """Return True for the name of a signature of fixed shapes.

    Example:
        >>> is_fixed("classify_tokens_32"), is_fixed("classify_tokens")
        (True, False)
    """
    return any(pattern.fullmatch(signature) for pattern in (_TEXT, _TOKENS, _OTHERS))
