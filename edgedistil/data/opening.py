"""Text files opened for reading: compressed or not, in the encoding that their first bytes show.

A file is UTF-8 unless it begins with the byte order mark of UTF-16, which Excel's "Unicode Text" and PowerShell write,
or with two ASCII characters in UTF-16.
UTF-8 is decoded with Python's `surrogateescape`: a byte that is not UTF-8 becomes a lone surrogate in its row, so that
the error can name the row instead of a byte offset.
"""

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO

from edgedistil_runtime.errors import DataError

__all__ = ["GZIP", "OpenText", "format_of", "open_text"]

GZIP = ".gz"


def format_of(path: Path) -> str:
    """Returns the extension that decides how a file is read: the one before `.gz`, in lower case.

    Example:
        >>> format_of(Path("a.CSV")), format_of(Path("a.json.gz")), format_of(Path("a.gz"))
        ('.csv', '.json', '')
    """
    return Path(path.stem).suffix.lower() if path.suffix.lower() == GZIP else path.suffix.lower()


class OpenText:
    """A text file that is being read; `open_text` makes it.

    Attributes:
        stream: The decoded text.
    """

    def __init__(self, stream: TextIO, raw: BinaryIO, size: int) -> None:
        self.stream, self._raw, self._size = stream, raw, size

    def progress(self) -> tuple[int, float]:
        """Approximate number of bytes read so far, decompressed, and share of the file."""
        position = self.stream.buffer.tell()
        raw_position = position if self.stream.buffer is self._raw else self._raw.tell()
        return position, min(1.0, raw_position / max(1, self._size))


@contextmanager
def open_text(path: Path, *, newline: str) -> Iterator[OpenText]:
    r"""Opens a text file.

    Args:
        path: A file; if its name ends in `.gz`, it is decompressed.
        newline: As in `open`.

    Yields:
        The open file.

    Raises:
        DataError: The block met bytes that cannot be decompressed, or that are not the UTF-16 that they claim to be.

    Example:
        >>> _ = Path("a.csv").write_bytes("text\nné".encode("utf-16"))
        >>> with open_text(Path("a.csv"), newline="") as file:
        ...     file.stream.read()
        'text\nné'
    """
    with path.open("rb") as raw:
        is_compressed = path.suffix.lower() == GZIP
        binary = gzip.GzipFile(fileobj=raw) if is_compressed else raw
        try:
            encoding, errors = _encoding(binary.peek(4)[:4])
            with io.TextIOWrapper(binary, encoding=encoding, errors=errors, newline=newline) as stream:
                yield OpenText(stream, raw, path.stat().st_size)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise DataError(
                f"{path} cannot be decompressed: {error}. Copy it again, or unpack it with gzip and give the unpacked "
                "file"
            ) from error
        except UnicodeDecodeError as error:
            raise DataError(
                f"{path} begins as UTF-16, and not all of it is UTF-16: {error.reason}. Save the file as UTF-8"
            ) from error


def _encoding(start: bytes) -> tuple[str, str]:
    """Encoding of a file that begins with these bytes, and the treatment of what is not in it."""
    if start.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32", "surrogatepass"
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16", "surrogatepass"
    first, second = start[::2], start[1::2]  # the low bytes are those of ASCII characters, the high bytes are 0
    if len(start) == 4 and all(first) and not any(second):
        return "utf-16-le", "surrogatepass"
    if len(start) == 4 and all(second) and not any(first):
        return "utf-16-be", "surrogatepass"
    # utf-8-sig: Excel and Notepad begin a file with a byte order mark, which is not part of the first column's name.
    return "utf-8-sig", "surrogateescape"
