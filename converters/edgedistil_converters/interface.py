"""How a model is used: where its tokenizer is, how many texts it takes, and which host reads it."""

from dataclasses import dataclass

from edgedistil_runtime.errors import ConversionError

__all__ = ["HOSTS", "TOKENIZERS", "ModelInterface"]

TOKENIZERS = ("builtin", "tftext", "none")
HOSTS = ("mediapipe",)


@dataclass(frozen=True)
class ModelInterface:
    """What a file takes; an impossible combination cannot be built.

    Attributes:
        tokenizer: `builtin`: in the graph, as TFLite builtin ops, UTF-8 bytes in. `tftext`: in the graph, as TensorFlow
            Text's ops, a string in, for hosts that link them. `none`: token ids in, for hosts with their own.
        takes_text_pair: whether there are signatures for two texts beside those for one; `builtin` alone.
        metadata: a host whose own metadata and signature the file carries: `mediapipe`, for MediaPipe Tasks'
            `TextClassifier`; with `none` alone. None for no such host.

    Example:
        >>> ModelInterface("none", metadata="mediapipe").tokenizer
        'none'
    """

    tokenizer: str = "builtin"
    takes_text_pair: bool = False
    metadata: str | None = None

    def __post_init__(self) -> None:
        if self.tokenizer not in TOKENIZERS:
            raise ConversionError(f"tokenizer must be one of {', '.join(TOKENIZERS)}. Received: {self.tokenizer!r}.")
        if self.metadata is not None and self.metadata not in HOSTS:
            raise ConversionError(f"metadata must be one of {', '.join(HOSTS)}. Received: {self.metadata!r}.")
        if self.takes_text_pair and self.tokenizer != "builtin":
            raise ConversionError(
                "Pairs of texts need the tokenizer `builtin`, which packs them in the graph. "
                f"Received: tokenizer={self.tokenizer!r}."
            )
        if self.metadata is not None and self.tokenizer != "none":
            raise ConversionError(
                f"A host that reads {self.metadata} metadata brings its own tokenizer, so the file must have none. "
                f"Received: tokenizer={self.tokenizer!r}. Pass --tokenizer none (tokenizer='none')."
            )
