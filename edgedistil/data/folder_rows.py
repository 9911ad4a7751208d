"""Rows of a directory with a folder for each class and a file for each text: `spam/1.txt`, `spam/2.txt`, `ham/1.txt`.

A row has the columns `text` (the content, without line ends at its end), `label` (the folder) and `file` (its path, as
above). Folders and files come in the order of their names. Those whose name begins with a dot are ignored, and so are
files beside the folders.
"""

import codecs
from collections.abc import Iterator
from pathlib import Path

from edgedistil.data.rows import BadRow, Row, missing_columns, not_utf8
from edgedistil_runtime.errors import DataError

__all__ = ["folder_rows"]

_COLUMNS = ("text", "label", "file")


def folder_rows(path: Path, columns: tuple[str, ...], *, is_whole: bool = False) -> Iterator[Row | BadRow]:
    """Reads a directory of `class/*.txt`, one file after another.

    Args:
        path: Directory.
        columns: Columns to read, of `text`, `label` and `file`.
        is_whole: Read all three.

    Yields:
        Each text, or an error in its place if it is not UTF-8 (or UTF-16 with its byte order mark).

    Raises:
        DataError: There is no folder; a folder is empty, or holds a folder or a file that is no `.txt`; or there is no
            such column.

    Example:
        >>> for name in ("ham", "spam"):
        ...     Path("mails", name).mkdir(parents=True)
        ...     _ = Path("mails", name, "1.txt").write_text(f"some {name}")
        >>> [row.values for row in folder_rows(Path("mails"), ("text", "label"))]
        [{'text': 'some ham', 'label': 'ham'}, {'text': 'some spam', 'label': 'spam'}]
    """
    missing = [column for column in columns if column not in _COLUMNS]
    if missing:
        raise DataError(f"{path}: {missing_columns(_COLUMNS, missing)}")
    wanted = _COLUMNS if is_whole else columns
    files = _text_files(path)
    position = 0
    for number, file in enumerate(files, start=1):
        content = file.read_bytes()
        position += len(content)
        name = f"{file.parent.name}/{file.name}"
        shown = name.encode("utf-8", "replace").decode()  # a name of the file system need not be UTF-8
        try:
            text = _decoded(content).rstrip("\r\n")
        except UnicodeDecodeError:
            yield not_utf8(path, shown)
            continue
        values = {"text": text, "label": file.parent.name, "file": name}
        yield Row(number, {column: values[column] for column in wanted}, position, number / len(files), shown)


def _decoded(content: bytes) -> str:
    is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if is_utf16 else "utf-8-sig")


def _text_files(path: Path) -> list[Path]:
    folders = [entry for entry in _visible(path) if entry.is_dir()]
    if not folders:
        raise DataError(
            f"{path} is a directory without a folder in it. A directory of texts has a folder for each class, and a "
            ".txt file in it for each text: spam/1.txt. Give such a directory, or a file"
        )
    files: list[Path] = []
    for folder in folders:
        texts = _visible(folder)
        foreign = [entry.name for entry in texts if entry.suffix.lower() != ".txt" or not entry.is_file()]
        if foreign or not texts:
            raise DataError(
                f"{path}: the folder of a class must hold .txt files, one for each text, and nothing else. Move the "
                f"rest away. Received: {folder.name!r} with {_listed(foreign) if foreign else 'no file'} in it"
            )
        files.extend(texts)
    return files


def _listed(names: list[str]) -> str:
    shown = ", ".join(map(repr, names[:3]))
    return f"{shown} and {len(names) - 3:,} more" if len(names) > 3 else shown


def _visible(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
