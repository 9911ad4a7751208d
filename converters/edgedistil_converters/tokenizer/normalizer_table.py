"""A custom table for TF-Text's `FastBertNormalize`, which replaces single characters of a text by strings.

The op takes its table as a flatbuffer (tensorflow_text/core/kernels/fast_bert_normalizer_model.fbs): a trie over the
UTF-8 bytes of a character, and a pool of strings. A value in the trie is a flag, an offset into the pool (24 bits) and
a length in bytes (6 bits), see fast_bert_normalizer.h. A character that is not in the trie stays as it is.

The op splits ill-formed bytes into Unicode's "maximal subparts" and looks them up too. TF-Text's own tables have no
entries for them, but this one can: `ill_formed_sequences` returns all of them.
"""

import itertools
from collections.abc import Iterator, Mapping

import flatbuffers

from edgedistil_converters.tokenizer.darts import build_darts
from edgedistil_runtime.errors import ConversionError

__all__ = ["build_normalizer_table", "ill_formed_sequences"]

_IS_REPLACED = 1 << 30
_LENGTH_BITS = 6
_LONGEST = (1 << _LENGTH_BITS) - 1
_POOL_LIMIT = 1 << 24
_END_OF_TEXT = b"\0"
_FIELDS = 4  # of the flatbuffer's table


def build_normalizer_table(replacements: Mapping[bytes, bytes]) -> bytes:
    """Build the table.

    Args:
        replacements: UTF-8 bytes of a character, or an ill-formed sequence -> the bytes that replace it, at most 63.

    Returns:
        A flatbuffer for the op's input `fast_bert_normalizer_model`.

    Raises:
        ConversionError: The replacements do not fit the format.

    Example:
        >>> from tensorflow_text.python.ops.fast_bert_normalizer import gen_fast_bert_normalizer
        >>> table = build_normalizer_table({b"N": b"n", b",": b" , "})
        >>> gen_fast_bert_normalizer.fast_bert_normalize(["ON,OFF"], list(table), get_offsets=False)[0].numpy()
        array([b'On , OFF'], dtype=object)
    """
    pool = bytearray()
    values = {key: _value(pool, replacement) for key, replacement in replacements.items()}
    if len(pool) >= _POOL_LIMIT:
        raise ConversionError(
            f"TF-Text's normalizer has room for {_POOL_LIMIT} bytes of replacements. Received: {len(pool)}."
        )
    value_of_zero = values.pop(_END_OF_TEXT, 0)  # the trie has no keys with a zero byte; the table has a field for it
    builder = flatbuffers.Builder(len(pool))
    pool_vector = builder.CreateByteVector(bytes(pool))
    trie_vector = builder.CreateNumpyVector(build_darts(values))
    builder.StartObject(_FIELDS)  # field 0, `lower_case_nfd_strip_accents`, describes TF-Text's own tables only
    builder.PrependUOffsetTRelativeSlot(1, trie_vector, 0)
    builder.PrependInt32Slot(2, value_of_zero, 0)
    builder.PrependUOffsetTRelativeSlot(3, pool_vector, 0)
    builder.Finish(builder.EndObject())
    return bytes(builder.Output())


def _value(pool: bytearray, replacement: bytes) -> int:
    """Return the trie's value for a replacement; the pool grows if it does not contain the replacement yet."""
    if len(replacement) > _LONGEST:
        raise ConversionError(
            f"TF-Text's normalizer can replace a character by at most {_LONGEST} bytes. Received: {replacement!r}."
        )
    offset = pool.find(replacement)
    if offset < 0:
        # Share the longest end of the pool that is a beginning of the replacement.
        overlap = next(n for n in range(len(replacement), -1, -1) if pool.endswith(replacement[:n]))
        offset = len(pool) - overlap
        pool += replacement[overlap:]
    return _IS_REPLACED | offset << _LENGTH_BITS | len(replacement)


def ill_formed_sequences() -> Iterator[bytes]:
    """Return every byte sequence that decodes to one U+FFFD (Unicode Standard, section 3.9, table 3-7 and D93b).

    These are the bytes that begin no character, and all proper beginnings of characters.

    Example:
        >>> sequences = set(ill_formed_sequences())
        >>> bytes([0xE2, 0x82]) in sequences, bytes([0xE2, 0x28]) in sequences
        (True, False)
        >>> {sequence.decode(errors="replace") for sequence in sequences} == {chr(0xFFFD)}
        True
    """
    yield from (bytes([byte]) for byte in (*range(0x80, 0xC2), *range(0xF5, 0x100)))
    for lead in range(0xC2, 0xF5):
        yield bytes([lead])
        if lead >= 0xE0:
            for second in _second_bytes(lead):
                yield bytes([lead, second])
                if lead >= 0xF0:
                    yield from map(bytes, itertools.product([lead], [second], range(0x80, 0xC0)))


def _second_bytes(lead: int) -> range:
    """Return the bytes that may follow a lead byte (table 3-7)."""
    first = {0xE0: 0xA0, 0xF0: 0x90}.get(lead, 0x80)
    last = {0xED: 0x9F, 0xF4: 0x8F}.get(lead, 0xBF)
    return range(first, last + 1)
