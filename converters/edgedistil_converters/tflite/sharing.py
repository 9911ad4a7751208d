"""Writes a flatbuffer in which equal parts are stored once.

Signatures of the same graph, as those of fixed shapes, repeat its operators, names, shapes and scales. A flatbuffer
refers to its parts by offsets, and several may refer to one part. So nothing but the bytes changes: a reader finds the
same model, part by part.

Nobody may change such a flatbuffer in place, because a change of one part would be one of others too. What a reader
may change is written `Apart`.
"""

from collections.abc import Callable, Hashable
from typing import Any

import flatbuffers

__all__ = ["Apart", "SharingBuilder"]

_LARGEST = 1 << 16  # bytes of a vector; larger ones are weights, which are there once


class SharingBuilder(flatbuffers.Builder):  # type: ignore[misc]
    """A builder that refers to an equal vector, string or table instead of writing another one.

    Example:
        >>> builder = SharingBuilder(64)
        >>> builder.CreateString("scores") == builder.CreateString("scores")
        True
    """

    # The capital names are those that flatbuffers and the generated code of a schema call.

    def __init__(self, initial_size: int) -> None:
        """Makes an empty builder.

        Args:
            initial_size: Bytes to begin with; it grows.
        """
        super().__init__(initial_size)
        self._known: dict[Hashable, int] = {}  # content of a part -> its offset
        self._parts: list[Hashable] = []  # of the table that is being written
        self._vector: tuple[int, int] | None = None  # of the vector that is being written: size and alignment of items
        self._before = 0  # where the table or vector that is being written begins

    def CreateString(self, text: Any, encoding: str = "utf-8", errors: str = "strict") -> int:
        """Writes a string."""
        content = text.encode(encoding, errors) if isinstance(text, str) else bytes(text)
        if (content,) not in self._known:
            self._known[(content,)] = super().CreateString(content)
        return self._known[(content,)]

    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> int:
        """Begins a vector."""
        self._before, self._vector, self._parts = self.Offset(), (elemSize, alignment), []
        return int(super().StartVector(elemSize, numElems, alignment))

    def EndVector(self, numElems: int | None = None) -> int:
        """Ends a vector."""
        count, vector, self._vector = self.vectorNumElems, self._vector, None
        offset = int(super().EndVector(numElems))
        if vector is None or vector[0] * count > _LARGEST:  # no vector is the end of a string
            return offset
        begin = len(self.Bytes) - offset + 4  # after the count
        # References are relative to their own place, so their targets are compared.
        content = tuple(self._parts) or bytes(self.Bytes[begin : begin + vector[0] * count])
        return self._shared((vector, count, content), offset)

    def StartObject(self, numfields: int) -> None:
        """Begins a table."""
        self._before, self._parts = self.Offset(), []
        super().StartObject(numfields)

    def EndObject(self) -> int:
        """Ends a table."""
        key = ("table", *self._parts)
        if key in self._known:
            self.nested, self.current_vtable = False, None
            return self._rewound(self._known[key])
        self._known[key] = offset = int(super().EndObject())
        return offset

    def PrependSlot(self, flags: Any, o: int, x: Any, d: Any) -> None:
        """Writes a number of a table."""
        before = self.Offset()
        super().PrependSlot(flags, o, x, d)
        if self.Offset() > before:  # not the default
            self._parts.append((o, bytes(self.Bytes[self.head : self.head + flags.bytewidth])))

    def PrependUOffsetTRelativeSlot(self, o: int, x: Any, d: Any) -> None:
        """Writes a reference of a table."""
        before = self.Offset()
        super().PrependUOffsetTRelativeSlot(o, x, d)
        if self.Offset() > before:
            self._parts.append((o, int(x)))

    def PrependUOffsetTRelative(self, off: Any) -> None:
        """Writes a reference."""
        super().PrependUOffsetTRelative(off)
        if self._vector is not None:
            self._parts.append(int(off))

    def apart(self, write: Callable[["SharingBuilder"], int]) -> int:
        """Calls `write` and shares nothing between what it writes and all other parts; returns its offset."""
        known, self._known = self._known, {}
        try:
            return int(write(self))
        finally:
            self._known = known

    def _shared(self, key: Hashable, offset: int) -> int:
        known = self._known.setdefault(key, offset)
        return offset if known == offset else self._rewound(known)

    def _rewound(self, known: int) -> int:
        """Drops what was written since the last begin, in favour of an equal part."""
        self.head = len(self.Bytes) - self._before
        return known


class Apart:
    """A part that shares nothing with others, so that a reader may change it in place.

    Example:
        >>> class Name:
        ...     def Pack(self, builder):
        ...         return builder.CreateString("scores")
        >>> builder = SharingBuilder(64)
        >>> builder.CreateString("scores") == Apart(Name()).Pack(builder)
        False
    """

    def __init__(self, part: Any) -> None:
        """Wraps a part, as the object API of a schema has it.

        Args:
            part: Such as a `TensorT`.
        """
        self._part = part

    def Pack(self, builder: SharingBuilder) -> int:  # the name that flatbuffers calls
        """Writes the part; returns its offset."""
        return builder.apart(self._part.Pack)
