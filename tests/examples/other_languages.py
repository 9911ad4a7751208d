"""Blocks in languages that the tests of documents do not run: what they call is in a source that other tests run."""

import re
from collections.abc import Callable
from pathlib import Path

from .documents import ROOT, Block


def check_javascript(_: object, block: Block) -> None:
    """What it calls is in the modules of the page or of the demo for Node.js; `make test-web` runs these."""
    paths = [*(ROOT / "web_demo").glob("*.js"), *(ROOT / "demos" / "node").glob("*.mjs")]
    modules = "".join(path.read_text(encoding="utf-8") for path in paths)
    called = set(re.findall(r"(\w+)\(", block.body)) - {"fetch", "log"}
    assert called and all(re.search(rf"\b{name}\b", modules) for name in called), block.body


def check_c(_: object, block: Block) -> None:
    """What it calls is declared in the header of the demo; `tests/demos` compiles it."""
    header = (ROOT / "demos" / "c" / "edgedistil.h").read_text(encoding="utf-8")
    called = set(re.findall(r"(\w+)\(", block.body)) - {"printf"}
    assert called and all(re.search(rf"\b{name}\(", header) for name in called), block.body


def in_sources(*folders: Path, pattern: str, known: frozenset[str] = frozenset()) -> Callable[[object, Block], None]:
    """A check that what a block calls, or the line it shows, is in a demo's sources; `known` are of the language."""

    def check(_: object, block: Block) -> None:
        sources = "".join(path.read_text("utf-8") for folder in folders for path in sorted(folder.rglob(pattern)))
        called = set(re.findall(r"(\w+)\(", block.body)) - known
        is_shown = block.body.strip() in sources
        assert is_shown or (called and all(re.search(rf"\b{name}\b", sources) for name in called)), block.body

    return check


CHECKS = {
    "swift": in_sources(ROOT / "demos" / "swift", pattern="*.swift"),
    "ts": in_sources(ROOT / "demos" / "react_native", pattern="TextClassifier.ts", known=frozenset({"require"})),
    "dart": in_sources(ROOT / "demos" / "flutter", pattern="*.dart"),
    "kotlin": in_sources(ROOT / "android_demo" / "core", pattern="*.kt"),
}
