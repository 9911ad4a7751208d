"""The interface of a file: which tokenizer it contains, how many texts it takes, and which host reads it."""

from dataclasses import dataclass

from edgedistil_runtime.errors import ConversionError

__all__ = ["HOSTS", "TOKENIZERS", "ModelInterface"]

TOKENIZERS = ("builtin", "tftext", "none")
HOSTS = ("mediapipe",)


@dataclass(frozen=True)
class ModelInterface:
    """The inputs of a file. An impossible combination raises an error when it is built.

    Attributes:
        tokenizer: `builtin` (default): in the graph, as TFLite builtin ops; the input is UTF-8 bytes. `tftext`: in the
            graph, as TensorFlow Text's ops, for hosts that link them; the input is a string. `none`: the input is token
            ids, for hosts that have a tokenizer.
        takes_text_pair: True for a file that also has signatures for two texts; only with the tokenizer `builtin`.
        metadata: A host whose metadata and signature the file contains: `mediapipe`, for MediaPipe Tasks'
            `TextClassifier`, only with the tokenizer `none`. None (default) for no such host.

    Raises:
        ConversionError: An unknown value, or an impossible combination.

    Example:
        >>> ModelInterface("none", metadata="mediapipe").tokenizer
        'none'
    """

    tokenizer: str = "builtin"
    takes_text_pair: bool = False
    metadata: str | None = None

    def __post_init__(self) -> None:
        if self.tokenizer not in TOKENIZERS:
            raise ConversionError(f"`tokenizer` must be one of {', '.join(TOKENIZERS)}. Received: {self.tokenizer!r}.")
        if self.metadata is not None and self.metadata not in HOSTS:
            raise ConversionError(f"`metadata` must be one of {', '.join(HOSTS)}. Received: {self.metadata!r}.")
        if self.takes_text_pair and self.tokenizer != "builtin":
            raise ConversionError(
                "Pairs of texts (`takes_text_pair`) need the tokenizer builtin, which packs them in the graph. "
                f"Received: `tokenizer`={self.tokenizer!r}."
            )
        if self.metadata is not None and self.tokenizer != "none":
            raise ConversionError(
                f"A host that reads {self.metadata} metadata brings its own tokenizer, so the file must have none. "
                f"Received: `tokenizer`={self.tokenizer!r}. Pass `tokenizer`='none'."
            )
