"""Blocks in languages that the tests of documents do not run: what they call is in a source that other tests run."""

import re

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
