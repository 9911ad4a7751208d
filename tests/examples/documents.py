"""Documents as tests read them: their blocks of code, the commands in these, and the code within sentences."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))),
    "runtime/README.md",
    "converters/README.md",
    *(f"demos/{path.parent.name}/README.md" for path in sorted((ROOT / "demos").glob("*/README.md"))),
    "web_demo/README.md",
    "android_demo/README.md",
)
_BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+(?:\n[^`\n]+)?)`")
_OPERATORS = ("&&", "|")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        language: The word after the fence, perhaps empty.
        body: The lines between the fences.
        begin: Where the block begins in the document, in characters.
        follows: Whether only white space lies between this block and the one before it.
    """

    language: str
    body: str
    begin: int
    follows: bool


@dataclass(frozen=True)
class Command:
    """One command of a shell block.

    Attributes:
        words: The program and its arguments.
        line: The line that it is in.
        output: Lines of output that the block shows after the line.
    """

    words: tuple[str, ...]
    line: str
    output: tuple[str, ...] = ()

    @property
    def program(self) -> str:
        """The name of the program, without its folder."""
        return Path(self.words[0]).name if self.words[0] != "." else "."


def read(name: str) -> str:
    """Returns the text of a document."""
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(text: str) -> list[Block]:
    """Returns the fenced blocks of a document, in their order.

    >>> [(block.language, block.body, block.follows) for block in blocks("```sh\\nls\\n```\\n\\n```\\na\\n```\\n")]
    [('sh', 'ls\\n', False), ('', 'a\\n', True)]
    """
    found, end = [], -1
    for match in _BLOCK.finditer(text):
        follows = end >= 0 and not text[end : match.start()].strip()
        found.append(Block(match["language"], match["body"], match.start(), follows))
        end = match.end()
    return found


def commands(body: str) -> list[Command]:
    """Returns the commands of a shell block: one for each part that `&&` or a pipe separates.

    >>> [command.words for command in commands("cd a && make b  # why\\necho x | sudo tee y\\n")]
    [('cd', 'a'), ('make', 'b'), ('echo', 'x'), ('sudo', 'tee', 'y')]
    >>> commands("curl host\\n{}\\n")[0].output
    ('{}',)
    """
    found: list[Command] = []
    for line in body.replace("\\\n", " ").splitlines():
        if line.startswith("{") and found:
            found[-1] = Command(found[-1].words, found[-1].line, (*found[-1].output, line))
            continue
        part: list[str] = []
        for word in [*shlex.split(line, comments=True), "&&"]:
            if word not in _OPERATORS:
                part.append(word)
            elif part:
                found.append(Command(tuple(part), line))
                part = []
    return found


def inline_code(text: str) -> list[tuple[int, str]]:
    """Returns the code within sentences, with its place in characters.

    >>> inline_code("Run `make demo`.\\n```sh\\n`no`\\n```\\n")
    [(4, 'make demo')]
    """
    without_blocks = _BLOCK.sub(lambda match: " " * len(match[0]), text)
    return [(match.start(), " ".join(match[1].split())) for match in _INLINE.finditer(without_blocks)]
