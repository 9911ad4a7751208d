"""The built-in texts that every file is verified with, whatever its labels."""

from collections.abc import Iterable

from edgedistil_converters.interface import ModelInterface

__all__ = ["VERIFICATION_PAIRS", "VERIFICATION_TEXTS", "VerificationInput", "verification_inputs"]

VerificationInput = str | tuple[str, str]

# Short, long, empty, upper-case and accented texts, other scripts, emoji, numbers, web addresses and line breaks.
VERIFICATION_TEXTS = (
    "Hello, world!",
    "",
    "turn on the light in the living room",
    "What's the weather going to be like in Zürich tomorrow?",
    "PLEASE CALL ME BACK ASAP!!!",
    "I'd like to transfer $1,250.00 to my savings account.",
    "🎉 free tickets 🎟️ click http://example.com/win?id=42 now",
    "naïve café, façade — “quoted”, ‘single’ … and an ellipsis",
    "ok",
    "?",
    "The quick brown fox jumps over the lazy dog. " * 6,
    "Antidisestablishmentarianism and electroencephalographically",
    "tab\tand\nnewline\r\nend",
    "Москва — столица России",
    "東京は日本の首都です",
    "안녕하세요 세계",
    "مرحبا بالعالم",
    "שלום עולם",
    "नमस्ते दुनिया",
    "a" * 120,
    "ﬁne ½ cup of Ⅷ ™",
    "user@example.org wrote: see #42 & reply @ 9:30",
    "i̇stanbul İSTANBUL ıstanbul",
    "👨‍👩‍👧‍👦 family and 🏳️‍🌈",
    "C++ vs. C# vs. F#",
    "1234567890 3.14159 1e-9",
    "no    spaces     collapsed   here",
    "Wake me up at half past six, would you?",
    "this product is terrible and i want my money back",
    "Play some jazz by Miles Davis in the kitchen",
)
# Each text is paired with one far from it in the list, so that there are pairs of short and long ones in both orders.
VERIFICATION_PAIRS = (
    *((text, VERIFICATION_TEXTS[(7 * i + 10) % len(VERIFICATION_TEXTS)]) for i, text in enumerate(VERIFICATION_TEXTS)),
    ("The quick brown fox jumps over the lazy dog. " * 6,) * 2,
    ("", ""),
)


def verification_inputs(texts: Iterable[str], interface: ModelInterface) -> list[VerificationInput]:
    """Returns the given texts, the built-in ones, and the built-in pairs if the file takes pairs.

    Example:
        >>> verification_inputs(["lights on"], ModelInterface())[:2]
        ['lights on', 'Hello, world!']
        >>> ("", "") in verification_inputs([], ModelInterface(takes_text_pair=True))
        True
    """
    return [*dict.fromkeys([*texts, *VERIFICATION_TEXTS]), *(VERIFICATION_PAIRS if interface.takes_text_pair else ())]
