"""Tables that tests write and read back."""

from edgedistil.data import read_labelled_texts

ROWS = [("hello, you", "hi"), ("so long; farewell", "bye"), ("né «x»", "hi")]
TEXTS, LABELS = (tuple(column) for column in zip(*ROWS, strict=True))


def separated(separator, rows=ROWS, header="text,label"):
    """The rows with this separator, every cell in quotes."""
    lines = [separator.join(f'"{cell}"' for cell in row) for row in rows]
    return "\r\n".join([header.replace(",", separator), *lines, ""])


def read(path, content, **options):
    """Writes the content to the path and reads its labelled texts."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_labelled_texts(path, **options)
