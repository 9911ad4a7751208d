"""Pieces that meet every rule of the tokenizer, and sets of options with the vocabularies that go with them."""

SPECIAL_PIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def pieces(suffix: str = "##") -> list[str]:
    """Words, letters, accents, CJK, punctuation; and pieces that no text can reach, to be left alone."""
    words = ["turn", "on", "off", "the", "light", "play", "music", "straße", "strasse", "Paris", "NASA", "fi", "ss"]
    endings = ["s", "ing", "er", "fi", "ss", "東", "é", "\u0301", "\u0307", "1", "京都", "ight"]
    letters = "abcdefghilmnoprstuwyzABCP"  # j, k, q, v and x are unknown
    others = ["é", "ü", "ñ", "i\u0307", "東", "京", "京都", "日", "が", "1", "2", "½", "👍", " \u0333", "ﬁ"]
    unreachable = ["a b", "e-mail", "東京", "a!", f"{suffix}!", f"{suffix}a b", "[X]", suffix]
    return list(
        dict.fromkeys(
            [
                *words,
                *others,
                *".,!?#@'-[]",
                *letters,
                *unreachable,
                *(suffix + piece for piece in [*endings, *letters]),
            ]
        )
    )


OPTION_SETS = {
    "lowercase": {},
    "cased": {"lowercase": False},
    "strip_accents": {"strip_accents": True},
    "strip_accents_cased": {"strip_accents": True, "lowercase": False},
    "whole_cjk": {"split_on_cjk": False},
    "special_tokens": {"special_tokens_in_strings": True, "special_tokens": ["<x>"]},
    "special_tokens_stripped": {"special_tokens_in_strings": True, "strip_accents": True},
    "special_tokens_cased": {"special_tokens_in_strings": True, "lowercase": False},
    "letter_indicator": {"suffix_indicator": "s"},
    "unsplit": {"split": False},
    "hangul": {},
    "custom_indicator": {"suffix_indicator": "@@", "oov_token": "<unk>"},
    "long_pieces": {"sequence_length": 2000},
    "one_piece": {},
    "no_piece": {"sequence_length": 4},
}
VOCABULARIES = {
    "special_tokens": [*SPECIAL_PIECES, "<x>", *pieces()],
    # Syllables with and without a final, and jamo, as words and inside of them.
    "hangul": [*SPECIAL_PIECES, *"가각갂각나ᄂae", *(f"##{c}" for c in "가각각나e\u0301")],
    "custom_indicator": [*SPECIAL_PIECES, "<unk>", *pieces("@@")],
    "long_pieces": [
        *SPECIAL_PIECES, "a", "##b", "é", "##é",
        *("a" * 99, "a" * 100, "a" * 101, "a" * 200, "é" * 50, "é" * 51),
        *("##" + "b" * 98, "##" + "b" * 99, "##" + "b" * 100, "##" + "b" * 200),
    ],
    "one_piece": [*SPECIAL_PIECES, "a"],
    "no_piece": [*SPECIAL_PIECES],
}  # fmt: skip
