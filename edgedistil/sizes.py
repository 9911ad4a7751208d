"""Named sizes of a backbone, after Google's BERT miniatures (https://arxiv.org/abs/1908.08962, table 1).

Heads are 64 wide and the feed-forward layer is four times as wide as the backbone, as in BERT. This module imports
no TensorFlow, so the command line can list the sizes in its help.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from edgedistil_runtime.errors import PresetError

__all__ = ["SIZES", "BackboneSize", "parse_size"]

_HEAD_WIDTH = 64
_INTERMEDIATE_FACTOR = 4


@dataclass(frozen=True)
class BackboneSize:
    """The numbers that shape a DistilBERT backbone.

    Attributes:
        num_layers: Transformer layers.
        hidden_dim: Width of the residual stream, a multiple of `num_heads`.
        num_heads: Attention heads.
        intermediate_dim: Width of the feed-forward layer.

    Example:
        >>> SIZES["tiny"].with_numbers(num_layers=3)
        BackboneSize(num_layers=3, hidden_dim=128, num_heads=2, intermediate_dim=512)
        >>> BackboneSize(num_layers=2, hidden_dim=100, num_heads=3, intermediate_dim=400)
        Traceback (most recent call last):
        edgedistil_runtime.errors.PresetError: The number of heads must divide the width: ...
    """

    num_layers: int
    hidden_dim: int
    num_heads: int
    intermediate_dim: int

    def __post_init__(self) -> None:
        for name in ("num_layers", "hidden_dim", "num_heads", "intermediate_dim"):
            if getattr(self, name) < 1:
                raise PresetError(f"{name} must be a positive whole number. Received: {getattr(self, name)}")
        if self.hidden_dim % self.num_heads:
            raise PresetError(
                f"The number of heads must divide the width: hidden_dim=128 takes 1, 2, 4 … heads. "
                f"Received: hidden_dim={self.hidden_dim}, num_heads={self.num_heads}"
            )

    @classmethod
    def of_width(cls, num_layers: int, hidden_dim: int) -> "BackboneSize":
        """A size with BERT's proportions."""
        heads = max(1, hidden_dim // _HEAD_WIDTH)
        return cls(num_layers, hidden_dim, heads, _INTERMEDIATE_FACTOR * hidden_dim)

    def with_numbers(
        self,
        *,
        num_layers: int | None = None,
        hidden_dim: int | None = None,
        num_heads: int | None = None,
        intermediate_dim: int | None = None,
    ) -> "BackboneSize":
        """A copy with some numbers replaced; a new width also sets heads and feed-forward width that are not given."""
        size = self
        if hidden_dim is not None and hidden_dim != self.hidden_dim:
            if num_heads is None and hidden_dim > _HEAD_WIDTH and hidden_dim % _HEAD_WIDTH:
                raise PresetError(
                    f"A width that is no multiple of {_HEAD_WIDTH} needs a number of heads. "
                    f"Received: hidden_dim={hidden_dim} without num_heads"
                )
            size = BackboneSize.of_width(self.num_layers, hidden_dim) if hidden_dim > 0 else self
        given = {
            "num_layers": num_layers,
            "hidden_dim": hidden_dim,
            "num_heads": num_heads,
            "intermediate_dim": intermediate_dim,
        }
        return replace(size, **{name: value for name, value in given.items() if value is not None})


SIZES: Mapping[str, BackboneSize] = {
    "tiny": BackboneSize.of_width(2, 128),
    "mini": BackboneSize.of_width(4, 256),
    "small": BackboneSize.of_width(4, 512),
    "medium": BackboneSize.of_width(8, 512),
    "base": BackboneSize.of_width(6, 768),
}


def parse_size(text: str) -> tuple[int, int]:
    """Reads layers and width.

    Raises:
        PresetError: the text is no size.

    Example:
        >>> parse_size("4x256")
        (4, 256)
        >>> parse_size("small")
        Traceback (most recent call last):
        edgedistil_runtime.errors.PresetError: The size of a student (`from_teacher`) is LAYERSxWIDTH, such as ...
    """
    found = re.fullmatch(r"([1-9]\d{0,3})x([1-9]\d{0,5})", text)
    if found is None:
        raise PresetError(f"The size of a student (`from_teacher`) is LAYERSxWIDTH, such as 4x256. Received: {text!r}")
    return int(found[1]), int(found[2])
