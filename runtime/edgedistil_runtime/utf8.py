"""Texts as UTF-8, without NumPy."""

from __future__ import annotations

from edgedistil_runtime.errors import InputError

__all__ = ["check_text", "encode_bytes"]


def check_text(text: str) -> None:
    """Raise an error if `text` is not a string.

    Raises:
        InputError: `text` is not a string.

    Example:
        >>> check_text(b"hello")
        Traceback (most recent call last):
        ...
        edgedistil_runtime.errors.InputError: A text must be a str. Received: bytes. Decode it first: ...
    """
    if not isinstance(text, str):
        advice = " Decode it first: text.decode('utf-8')." if isinstance(text, (bytes, bytearray)) else ""
        raise InputError(f"A text must be a str. Received: {type(text).__name__}.{advice}")


def encode_bytes(text: str) -> bytes:
    r"""Return a text as UTF-8; see `encode_text` for lone surrogates.

    Raises:
        InputError: `text` is not a string.

    Example:
        >>> encode_bytes("h\u00e9")
        b'h\xc3\xa9'
    """
    check_text(text)
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode("utf-8")
