"""WordPiece as a straight line of TFLite builtins: UTF-8 bytes in, token ids out.

There is no loop, no string and no custom op, and no op is newer than TFLite 2.14 of 2023. Two IFs and a list of
positions skip what few texts need.

1. Decode: four shifted copies of the byte vector give the code point that starts at every byte, U+FFFD where the
   bytes are no UTF-8.
2. Spell: a two-level table turns each code point into its symbols, already split and case-folded (`spelling.py`);
   bytes that start no code point give nothing. A word is what stands between two separators.
3. Compose: texts with combining marks or jamo take a branch that normalizes them (`composition.py`).
4. Match: for all positions at once, one step down the trie per symbol; the last state that ended a piece is the
   longest match there. After six symbols, only the positions that are still in the trie go on.
5. Walk: greedy longest-match starts at a word's first symbol and hops from match to match. Which positions it visits
   follows from pointer doubling (Wyllie 1979, "The complexity of parallel computations"): after k rounds every chain
   of 2^k hops is marked. Three rounds are enough for words of eight pieces, and an IF adds the others.
6. Emit: a word in which the walk got stuck, or which has more than 100 bytes, is one unknown token.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from edgedistil_converters.graph.tensors import shared_constant
from edgedistil_converters.tokenizer.composition import Composer, build_alphabet
from edgedistil_converters.tokenizer.decoding import decode_utf8
from edgedistil_converters.tokenizer.settings import MAX_BYTES_PER_WORD, start_and_continuation_pieces
from edgedistil_converters.tokenizer.special_tokens import SpecialTokenFinder
from edgedistil_converters.tokenizer.spelling import NOTHING, PAGE_SIZE, WORD_BREAK, Spellings, code_point_table
from edgedistil_converters.tokenizer.trie import FIRST_SYMBOL, SEPARATOR, UNKNOWN, build_trie
from edgedistil_runtime.artifact import TokenizerSettings

__all__ = ["GraphTokenizer"]

_MOST_PIECES_PER_WORD = MAX_BYTES_PER_WORD  # a piece has at least one byte
_LONGEST_CHARACTER = 4  # bytes
_COMMON_STEPS = 6  # symbols: most positions leave the trie earlier
_COMMON_ROUNDS = 3


class GraphTokenizer:
    """The tables of one vocabulary, and the graph that reads them.

    Args:
        settings: tokenizer options.
        vocabulary: one piece an id.

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
        spellings = Spellings(settings)
        starts, continuations = (
            {piece: token_id for piece, token_id in pieces.items() if spellings.can_be_in_a_word(piece)}
            for pieces in start_and_continuation_pieces(vocabulary, settings.suffix_indicator)
        )
        special = settings.special_tokens
        characters = frozenset().union(*starts, *continuations)
        self._alphabet = build_alphabet(characters, is_composed=settings.lowercase, special_tokens=special)
        symbols = self._alphabet.symbols
        starts_by_symbols = {tuple(symbols[c] for c in piece): token_id for piece, token_id in starts.items()}
        starts_by_symbols |= {(symbols[token],): _last_index(vocabulary, token) for token in special}
        self._trie = build_trie(
            starts_by_symbols,
            {tuple(symbols[c] for c in piece): token_id for piece, token_id in continuations.items()},
            self._alphabet.size,
        )
        table = code_point_table(spellings, {WORD_BREAK: SEPARATOR, **symbols}, UNKNOWN, special)
        self._code_points = table
        self._entry_of, self._token = _compact(table.entry_of), _compact(self._trie.token)
        self._finder = SpecialTokenFinder(table.special_tokens, table.characters, NOTHING) if special else None
        self._composer = Composer(self._alphabet) if self._alphabet.needs_composing else None
        self._bytes_of_symbol = np.array(
            [0, _LONGEST_CHARACTER, *(len(character.encode("utf-8", "replace")) for character in symbols)], np.int32
        )
        assert len(self._bytes_of_symbol) == FIRST_SYMBOL + len(symbols)

    def __call__(self, text: Any) -> Any:
        """Token ids of one text, special tokens included.

        Args:
            text: int32[n], UTF-8 bytes; a zero ends the text.

        Returns:
            int32[1, m] with 2 <= m <= sequence_length.
        """
        pieces = self.pieces(text)
        pieces = pieces[0 : tf.minimum(tf.shape(pieces)[0], self.settings.sequence_length - 2)]
        return tf.concat([[self.settings.start_id], pieces, [self.settings.end_id]], 0)[None]

    def pair(self, text: Any, text_pair: Any) -> Any:
        """Token ids of two texts: `[CLS] text [SEP] text_pair [SEP]`, as KerasHub's `MultiSegmentPacker` cuts them.

        Args:
            text: int32[n], UTF-8 bytes; a zero ends the text.
            text_pair: int32[k], likewise.

        Returns:
            int32[1, m] with 3 <= m <= sequence_length.
        """
        first, second = self.pieces(text), self.pieces(text_pair)
        room = self.settings.sequence_length - 3
        lengths = tf.shape(first)[0], tf.shape(second)[0]
        kept = tf.minimum(lengths[0], room)
        if self.settings.truncate == "round_robin":  # a token of each in turn, the first text first
            kept = tf.minimum(lengths[0], tf.maximum((room + 1) // 2, room - lengths[1]))
        second = second[0 : tf.minimum(lengths[1], room - kept)]
        end = [self.settings.end_id]
        return tf.concat([[self.settings.start_id], first[0:kept], end, second, end], 0)[None]

    def pieces(self, text: Any) -> Any:
        """Token ids of one text, without special tokens and however many they are.

        Args:
            text: int32[n], UTF-8 bytes; a zero ends the text.

        Returns:
            int32[m].
        """
        symbols = self._compose(self._spell(decode_utf8(text)))
        total = tf.shape(symbols)[0]
        is_within = tf.not_equal(symbols, SEPARATOR)
        follows_separator = tf.equal(tf.concat([[SEPARATOR], symbols], 0)[0:total], SEPARATOR)
        first = tf.logical_and(is_within, follows_separator)
        token, length = self._longest_match(symbols, first, total)
        visited = _visited(symbols, first, length, total)
        stuck = tf.logical_and(visited > 0, tf.equal(length, 0))
        is_unknown = self._is_in_unknown_word(symbols, first, stuck)
        emitted = tf.logical_and(tf.where(is_unknown, tf.cast(first, tf.int32), visited) > 0, is_within)
        return tf.boolean_mask(tf.where(is_unknown, self.settings.unknown_id, token), emitted)

    def _spell(self, code_points: Any) -> Any:
        """int32[m]: the symbols of a text, a separator at the end."""
        table = self._code_points
        known = tf.maximum(code_points, 0)
        row = tf.gather(shared_constant(table.page_of), known // PAGE_SIZE) * PAGE_SIZE
        entry = _look_up(self._entry_of, row + known % PAGE_SIZE)
        entry = tf.where(code_points < 0, NOTHING, entry)
        if self._finder is not None:
            entry = self._finder(entry)
        length = tf.gather(shared_constant(table.length), entry)
        start = tf.cumsum(length, exclusive=True)
        total = tf.reduce_sum(length)
        # Entries without symbols share their start with the next one, whose number is the higher: counting the starts
        # up to a position gives the entry that it belongs to.
        source = tf.cumsum(tf.scatter_nd(start[:, None], tf.ones_like(start), [total + 1]))[0:total] - 1
        where_it_lies = tf.gather(tf.gather(shared_constant(table.offset), entry) - start, source) + tf.range(total)
        return tf.concat([tf.gather(shared_constant(table.symbols), where_it_lies), [SEPARATOR]], 0)

    def _compose(self, symbols: Any) -> Any:
        if self._composer is None:
            return symbols
        is_needed = tf.reduce_max(symbols) >= self._alphabet.first_composing
        return tf.cond(is_needed, lambda: self._composer(symbols), lambda: symbols)

    def _longest_match(self, symbols: Any, first: Any, total: Any) -> tuple[Any, Any]:
        """Token id and length of the longest piece that starts at each position; length 0 where none does."""
        ahead = tf.concat([symbols, tf.fill([self._trie.longest], SEPARATOR)], 0)
        state = tf.where(first, self._trie.start, self._trie.continuation)
        states = []
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
        """The same for pieces of more than `_COMMON_STEPS` symbols, given the states after these."""
        # One position past the end, in the dead state, keeps the list from being empty.
        alive = tf.concat([tf.not_equal(state, 0), [True]], 0)
        at = tf.cast(tf.reshape(tf.where(alive), [-1]), tf.int32)
        state = tf.gather(tf.concat([state, [0]], 0), at)
        states = []
        for step in range(_COMMON_STEPS, self._trie.longest):
            state = self._step(state, tf.gather(ahead, at + step))
            states.append(state)
        token, length = self._last_token(states, _COMMON_STEPS + 1, tf.shape(at)[0])
        token = tf.where(length > 0, token, 0)
        spread = [tf.scatter_nd(at[:, None], values, [total + 1])[0:total] for values in (token, length)]
        return spread[0], spread[1]

    def _step(self, state: Any, symbol: Any) -> Any:
        """The children of states by symbols; 0 where there is none."""
        slot = tf.gather(shared_constant(self._trie.base), state) + symbol
        return tf.where(tf.equal(tf.gather(shared_constant(self._trie.check), slot), symbol), slot, 0)

    def _last_token(self, states: Sequence[Any], first_length: int, total: Any) -> tuple[Any, Any]:
        """Of states after `first_length` symbols and more, the last that ends a piece: its token id and its length."""
        tokens = _look_up(self._token, tf.stack(states))
        lengths = tf.constant(np.arange(first_length, first_length + len(states), dtype=np.int32)[:, None])
        length = tf.reduce_max(tf.where(tokens >= 0, lengths, 0), 0)
        at = tf.maximum(length - first_length, 0) * total + tf.range(total)
        return tf.gather(tf.reshape(tokens, [-1]), at), length

    def _is_in_unknown_word(self, symbols: Any, first: Any, stuck: Any) -> Any:
        """bool[total]: whether the word at each position cannot be told in pieces, or is too long."""
        word = tf.cumsum(tf.cast(first, tf.int32))
        cost = tf.gather(shared_constant(self._bytes_of_symbol), symbols)
        cost += tf.cast(stuck, tf.int32) * (MAX_BYTES_PER_WORD + 1)
        cost_of_word = tf.scatter_nd(word[:, None], cost, [tf.reduce_max(word) + 1])
        return tf.gather(cost_of_word, word) > MAX_BYTES_PER_WORD


def _last_index(vocabulary: Sequence[str], token: str) -> int:
    """The id of a token; of several alike the last, as everywhere in KerasHub's map from token to id."""
    return len(vocabulary) - 1 - list(reversed(vocabulary)).index(token)


def _visited(symbols: Any, first: Any, length: Any, total: Any) -> Any:
    """int32[total]: 1 at the positions that the greedy walk of each word reaches, the stuck one included."""
    nowhere = total  # a position past the end, where chains stop
    target = tf.range(total) + length
    goes_on = tf.logical_and(length > 0, tf.not_equal(tf.gather(symbols, target), SEPARATOR))
    hop = tf.concat([tf.where(goes_on, target, nowhere), [nowhere]], 0)
    visited = tf.concat([tf.cast(first, tf.int32), [0]], 0)

    def doubled(visited: Any, hop: Any, rounds: int) -> tuple[Any, Any]:
        for _ in range(rounds):
            visited = tf.minimum(1, visited + tf.scatter_nd(hop[:, None], visited, [total + 1]))
            hop = tf.gather(hop, hop)
        return visited, hop

    visited, hop = doubled(visited, hop, _COMMON_ROUNDS)
    is_longer = tf.reduce_min(hop) < nowhere
    more = (_MOST_PIECES_PER_WORD - 1).bit_length() - _COMMON_ROUNDS
    visited = tf.cond(is_longer, lambda: doubled(visited, hop, more)[0], lambda: visited)
    return visited[0:total]


def _compact(table: NDArray[np.int32]) -> NDArray[Any]:
    """The table in 16 bits where its numbers fit."""
    limits = np.iinfo(np.int16)
    fits = table.min(initial=0) >= limits.min and table.max(initial=0) <= limits.max
    return table.astype(np.int16) if fits else table


def _look_up(table: NDArray[Any], ids: Any) -> Any:
    """int32: entries of a table of either width."""
    found = tf.gather(shared_constant(table), ids)
    return found if table.dtype == np.int32 else tf.cast(found, tf.int32)
