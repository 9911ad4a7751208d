"""WordPiece as a straight line of TFLite builtin ops: UTF-8 bytes in, token ids out.

There is no loop, no string tensor and no custom op, and no op is newer than TFLite 2.14 of 2023. Two IFs and a list of
positions skip work that few texts need.

1. Decode: four shifted copies of the byte vector give the code point that starts at every byte, U+FFFD for ill-formed
   bytes.
2. Spell: a two-level table turns each code point into its symbols, already split and case-folded (`spelling.py`);
   bytes that start no code point give no symbols. A word is the symbols between two separators.
3. Compose: texts with combining marks or jamo take a branch that normalizes them (`composition.py`).
4. Match: at all positions at once, one step down the trie per symbol; the last state that ends a piece is the longest
   match at a position. After six symbols, only the positions that are still in the trie go on.
5. Walk: greedy longest-match starts at a word's first symbol and hops from match to match. Pointer doubling finds the
   positions that it visits (Wyllie 1979, "The complexity of parallel computations"): after k rounds every chain of 2^k
   hops is marked. Three rounds are enough for words of eight pieces; an IF adds the other rounds.
6. Emit: a word in which the walk is stuck, or which has more than 100 bytes, is one unknown token.

Texts with Hugging Face's rules have a graph of their own, `hugging_face_graph.py`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from edgedistil_converters.graph.tensors import shared_constant
from edgedistil_converters.tokenizer.composition import Composer, build_alphabet
from edgedistil_converters.tokenizer.decoding import decode_utf8
from edgedistil_converters.tokenizer.hugging_face_graph import HuggingFacePieces
from edgedistil_converters.tokenizer.matching import compact, look_up
from edgedistil_converters.tokenizer.settings import MAX_BYTES_PER_WORD, start_and_continuation_pieces
from edgedistil_converters.tokenizer.special_tokens import SpecialTokenFinder
from edgedistil_converters.tokenizer.speller import Speller
from edgedistil_converters.tokenizer.spelling import NOTHING, WORD_BREAK, Spellings, code_point_table
from edgedistil_converters.tokenizer.steady_shapes import cut_at_zero, first_positions, pad_symbols
from edgedistil_converters.tokenizer.trie import FIRST_SYMBOL, SEPARATOR, UNKNOWN, build_trie
from edgedistil_runtime.artifact import TokenizerSettings
from edgedistil_runtime.contract import HUGGING_FACE, LONGEST_FIRST

__all__ = ["GraphTokenizer"]

_LONGEST_CHARACTER = 4  # bytes
_COMMON_STEPS = 6  # symbols; at most positions the trie ends earlier
_COMMON_ROUNDS = 3  # reach 2^3 = 8 pieces


class GraphTokenizer:
    """The tokenizer as a graph: tables of one vocabulary, and the ops that read them.

    Args:
        settings: Tokenizer options.
        vocabulary: Pieces; a piece's index is its token id.

    Example:
        >>> import keras_hub
        >>> from edgedistil_converters.tokenizer.settings import read_tokenizer
        >>> preprocessor = keras_hub.models.DistilBertTextClassifierPreprocessor.from_preset("intents")
        >>> tokenizer = GraphTokenizer(*read_tokenizer(preprocessor))
        >>> tf.function(tokenizer)(tf.constant(list(b"turn on the light"))).numpy().tolist()
        [[2, 5, 10, 6, 7, 3]]
    """

    def __init__(self, settings: TokenizerSettings, vocabulary: Sequence[str]) -> None:
        self.settings = settings
        self._hugging_face = None
        if settings.rules == HUGGING_FACE:
            self._hugging_face = HuggingFacePieces(settings, vocabulary)
            return
        spellings = Spellings(settings)
        starts, continuations = (
            {piece: token_id for piece, token_id in pieces.items() if spellings.can_be_in_a_word(piece)}
            for pieces in start_and_continuation_pieces(vocabulary, settings.suffix_indicator)
        )
        characters = frozenset().union(*starts, *continuations)
        # Special tokens that a text may spell out are words of one symbol.
        special = {token: _last_index(vocabulary, token) for token in settings.special_tokens}
        self._alphabet = build_alphabet(characters, is_composed=settings.lowercase, special_tokens=tuple(special))
        symbols = self._alphabet.symbols
        starts_by_symbols = {tuple(symbols[c] for c in piece): token_id for piece, token_id in starts.items()}
        self._trie = build_trie(
            starts_by_symbols | {(symbols[name],): token_id for name, token_id in special.items()},
            {tuple(symbols[c] for c in piece): token_id for piece, token_id in continuations.items()},
            self._alphabet.size,
        )
        table = code_point_table(spellings, {WORD_BREAK: SEPARATOR, **symbols}, UNKNOWN, tuple(special))
        self._token = compact(self._trie.token)
        find_tokens = None
        if settings.special_tokens:
            find_tokens = SpecialTokenFinder(table.special_tokens, table.characters, NOTHING)
        self._spell = Speller(table, find_tokens)
        self._composer = Composer(self._alphabet) if self._alphabet.needs_composing else None
        # UTF-8 bytes per symbol, to find words of more than 100 bytes: a separator has 0, an unknown character at most
        # 4 (its word is unknown in any case).
        self._bytes_of_symbol = np.array(
            [0, _LONGEST_CHARACTER, *(len(character.encode("utf-8", "replace")) for character in symbols)], np.int32
        )
        assert len(self._bytes_of_symbol) == FIRST_SYMBOL + len(symbols)

    def __call__(self, text: Any) -> Any:
        """Return the token ids of one text, with `[CLS]` and `[SEP]`.

        Args:
            text: int32[n], UTF-8 bytes; a zero ends the text.

        Returns:
            int32[1, m] with 2 <= m <= sequence_length.
        """
        pieces = self.pieces(text)
        pieces = tf.slice(pieces, [0], [tf.minimum(tf.shape(pieces)[0], self.settings.sequence_length - 2)])
        return tf.concat([[self.settings.start_id], pieces, [self.settings.end_id]], 0)[None]

    def fixed_row(self, text: Any, length: int) -> tuple[Any, Any]:
        """Return the token ids of one text in a row of fixed length, and their number before the text was cut.

        Args:
            text: int32[n], UTF-8 bytes; a zero ends the text.
            length: At most `sequence_length`.

        Returns:
            int32[1, length], right-padded, and int32[1].
        """
        pieces = self.pieces(text)
        count = tf.shape(pieces)[0]
        ends = [self.settings.end_id]
        padding = tf.fill([length], self.settings.pad_id)
        row = tf.concat([[self.settings.start_id], pieces[: length - 2], ends, padding], 0)
        return tf.slice(row, [0], [length])[None], tf.reshape(count + 2, [1])

    def pair(self, text: Any, text_pair: Any) -> Any:
        """Return `[CLS] text [SEP] text_pair [SEP]` as token ids, cut as KerasHub's `MultiSegmentPacker` cuts them.

        Args:
            text: int32[n], UTF-8 bytes; a zero ends the text.
            text_pair: int32[k], UTF-8 bytes; a zero ends the text.

        Returns:
            int32[1, m] with 3 <= m <= sequence_length.
        """
        first, second = self.pieces(text), self.pieces(text_pair)
        room = self.settings.sequence_length - 3
        lengths = tf.shape(first)[0], tf.shape(second)[0]
        kept = tf.minimum(lengths[0], room)  # tokens of the first text; `waterfall` fills the row with it
        if self.settings.truncate == LONGEST_FIRST:
            kept = _longest_first(*lengths, room)
        # `round_robin` takes a token from each text in turn, the first text first: at least half of the room (rounded
        # up), and more if the second text leaves some.
        if self.settings.truncate == "round_robin":
            kept = tf.minimum(lengths[0], tf.maximum((room + 1) // 2, room - lengths[1]))
        second = second[0 : tf.minimum(lengths[1], room - kept)]
        end = [self.settings.end_id]
        return tf.concat([[self.settings.start_id], first[0:kept], end, second, end], 0)[None]

    def pieces(self, text: Any) -> Any:
        """Return the token ids of one text, without special tokens and not truncated.

        Args:
            text: int32[n], UTF-8 bytes; a zero ends the text.

        Returns:
            int32[m].
        """
        if self._hugging_face is not None:
            return self._hugging_face(text)
        symbols = self._compose(self._spell(decode_utf8(cut_at_zero(text))))
        total = tf.shape(symbols)[0]
        # All below have the shape [total].
        is_within = tf.not_equal(symbols, SEPARATOR)
        follows_separator = tf.equal(tf.concat([[SEPARATOR], symbols], 0)[0:total], SEPARATOR)
        first = tf.logical_and(is_within, follows_separator)  # the first symbol of each word
        token, length = self._longest_match(symbols, first, total)
        visited = _visited(symbols, first, length, total, most_pieces=MAX_BYTES_PER_WORD)
        stuck = tf.logical_and(visited > 0, tf.equal(length, 0))
        is_unknown = self._is_in_unknown_word(symbols, first, stuck)
        # A known word emits at every visited position, an unknown one at its first symbol only.
        emitted = tf.logical_and(tf.where(is_unknown, tf.cast(first, tf.int32), visited) > 0, is_within)
        token = tf.where(is_unknown, self.settings.unknown_id, token)
        return tf.boolean_mask(token, emitted)

    def _compose(self, symbols: Any) -> Any:
        if self._composer is None:
            return symbols
        is_needed = tf.reduce_max(symbols) >= self._alphabet.first_composing
        return tf.cond(is_needed, lambda: pad_symbols(self._composer(symbols)), lambda: symbols)

    def _longest_match(self, symbols: Any, first: Any, total: Any) -> tuple[Any, Any]:
        """Return the id and length (in symbols, 0 for no match) of the longest piece at each position, int32[total]."""
        # Position p reads ahead[p + step]; the padding keeps that inside, and no piece contains a separator.
        ahead = tf.concat([symbols, tf.fill([self._trie.longest], SEPARATOR)], 0)
        state = tf.where(first, self._trie.start, self._trie.continuation)
        states = []  # one int32[total] for each step
        for step in range(min(_COMMON_STEPS, self._trie.longest)):
            state = self._step(state, ahead[step : step + total])
            states.append(state)
        token, length = self._last_token(states, 1, total)
        if self._trie.longest <= _COMMON_STEPS:
            return token, length
        far_token, far_length = self._longer_match(state, ahead, total)
        is_far = far_length > 0
        return tf.where(is_far, far_token, token), tf.where(is_far, far_length, length)

    def _longer_match(self, state: Any, ahead: Any, total: Any) -> tuple[Any, Any]:
        """Return the same for pieces of more than `_COMMON_STEPS` symbols, from the states after that many."""
        at = first_positions(tf.not_equal(state, 0))  # positions still in the trie, then a separator, which is not
        state = tf.gather(state, at)
        states = []
        for step in range(_COMMON_STEPS, self._trie.longest):
            state = self._step(state, tf.gather(ahead, at + step))
            states.append(state)
        token, length = self._last_token(states, _COMMON_STEPS + 1, tf.shape(at)[0])
        token = tf.where(length > 0, token, 0)
        spread = [tf.scatter_nd(at[:, None], values, [total]) for values in (token, length)]  # back to all positions
        return spread[0], spread[1]

    def _step(self, state: Any, symbol: Any) -> Any:
        """Return the child of each state by its symbol, 0 (the dead state) if there is none."""
        slot = tf.gather(shared_constant(self._trie.base), state) + symbol
        return tf.where(tf.equal(tf.gather(shared_constant(self._trie.check), slot), symbol), slot, 0)

    def _last_token(self, states: Sequence[Any], first_length: int, total: Any) -> tuple[Any, Any]:
        """Return the token id and length of the last state that ends a piece, int32[total] each; length 0 if none does.

        Args:
            states: int32[total] after `first_length` symbols, after `first_length` + 1 symbols, and so on.
            first_length: Symbols before the first of the states.
            total: Number of positions.
        """
        tokens = look_up(self._token, tf.stack(states))  # [steps, total], -1 where no piece ends
        lengths = tf.constant(np.arange(first_length, first_length + len(states), dtype=np.int32)[:, None])
        length = tf.reduce_max(tf.where(tokens >= 0, lengths, 0), 0)
        # tokens[step, position] is at step * total + position of the flattened tensor.
        at = tf.maximum(length - first_length, 0) * total + tf.range(total)
        return tf.gather(tf.reshape(tokens, [-1]), at), length

    def _is_in_unknown_word(self, symbols: Any, first: Any, stuck: Any) -> Any:
        """Return bool[total], True in words that have no split into pieces, or have more than 100 bytes."""
        word = tf.cumsum(tf.cast(first, tf.int32))  # words count from 1; 0 before the first word
        cost = tf.gather(shared_constant(self._bytes_of_symbol), symbols)  # one sum decides both conditions
        cost += tf.cast(stuck, tf.int32) * (MAX_BYTES_PER_WORD + 1)
        cost_of_word = tf.scatter_nd(word[:, None], cost, [tf.shape(word)[0]])
        return tf.gather(cost_of_word, word) > MAX_BYTES_PER_WORD


def _longest_first(first: Any, second: Any, room: int) -> Any:
    """Return how many of `first` tokens are kept beside `second` others: if both are cut, the longer text has half.

    Hugging Face's `truncate_encodings` (tokenizers, utils/truncation.rs): half is rounded up for the longer text, which
    is the second one if they are equally long.
    """
    if_shorter = tf.minimum(first, room // 2)
    if_longer = room - tf.minimum(second, room // 2)
    return tf.where(first + second <= room, first, tf.where(first <= second, if_shorter, if_longer))


def _last_index(vocabulary: Sequence[str], token: str) -> int:
    """Return the id of a token; the last one if it occurs twice, as in KerasHub's map from token to id."""
    return len(vocabulary) - 1 - list(reversed(vocabulary)).index(token)


def _visited(symbols: Any, first: Any, length: Any, total: Any, *, most_pieces: int) -> Any:
    """Return int32[total], 1 where the greedy walk of each word arrives, including the position where it is stuck.

    Args:
        symbols: int32[total].
        first: bool[total], True at the first symbol of each word.
        length: int32[total], symbols of the longest match at each position, 0 for none.
        total: Number of positions.
        most_pieces: Largest number of pieces of a word that is not too long.
    """
    nowhere = total  # a position past the end, where all chains stop; it hops to itself
    # The last symbol is a separator and matches nothing, so p + length[p] is a position.
    target = tf.range(total) + length
    goes_on = tf.logical_and(length > 0, tf.not_equal(tf.gather(symbols, target), SEPARATOR))
    hop = tf.concat([tf.where(goes_on, target, nowhere), [nowhere]], 0)  # int32[total + 1]
    visited = tf.concat([tf.cast(first, tf.int32), [0]], 0)

    def doubled(visited: Any, hop: Any, rounds: int) -> tuple[Any, Any]:
        for _ in range(rounds):
            # Before round k (from 0), `hop` goes 2^k matches ahead, and the first 2^k positions of a walk are marked.
            visited = tf.minimum(1, visited + tf.scatter_nd(hop[:, None], visited, [total + 1]))
            hop = tf.gather(hop, hop)
        return visited, hop

    visited, hop = doubled(visited, hop, _COMMON_ROUNDS)
    is_longer = tf.reduce_min(hop) < nowhere
    more = max(0, (most_pieces - 1).bit_length() - _COMMON_ROUNDS)  # 7 rounds reach 128 pieces
    visited = tf.cond(is_longer, lambda: doubled(visited, hop, more)[0], lambda: visited)
    return visited[0:total]
