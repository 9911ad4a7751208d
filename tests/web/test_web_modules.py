"""The modules of `web_demo` by themselves, in node, and what must be true of its sources. No browser, no package."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ..conftest import HANG

HERE = Path(__file__).parent
WEB_DEMO = HERE.parents[1] / "web_demo"
NODE_DEMO = HERE.parents[1] / "demos" / "node"
REACT_NATIVE_DEMO = HERE.parents[1] / "demos" / "react_native"
OLDEST_NODE = 20  # of `import.meta.dirname`, and the oldest that is maintained
PUBLIC_REGISTRY = "https://registry.npmjs.org/"


def node_version():
    if shutil.which("node") is None:
        return 0
    told = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    return int(told.removeprefix("v").split(".")[0])


@pytest.mark.skipif(node_version() < OLDEST_NODE, reason=f"There is no node of version {OLDEST_NODE} or newer")
def test_web_modules_pass_their_own_tests():
    modules = sorted(str(path) for path in HERE.glob("*.test.mjs"))
    assert modules
    done = subprocess.run(["node", "--test", *modules], capture_output=True, text=True, timeout=HANG)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_web_one_line_deals_with_text_before_the_model():
    lines = [line for path in WEB_DEMO.glob("*.js") for line in path.read_text(encoding="utf-8").splitlines()]
    assert [line.strip() for line in lines if "new TextEncoder" in line] == [
        "const bytes = new TextEncoder().encode(text);"
    ]
    assert not [line for line in lines if any(word in line for word in ("toLowerCase", "normalize(", "wordpiece"))]


def test_web_build_knows_every_file_of_the_page():
    due = {
        path.name
        for pattern in ("*.js", "*.css", "*.html", "*.svg", "*.webmanifest")
        for path in WEB_DEMO.glob(pattern)
    }
    build = (WEB_DEMO / "build.mjs").read_text(encoding="utf-8")
    assert [name for name in sorted(due) if f"'{name}'" not in build] == []


def test_web_page_names_no_other_host():
    pages = [path for path in WEB_DEMO.iterdir() if path.suffix in {".html", ".js", ".css", ".webmanifest"}]
    assert len(pages) > 10
    addresses = {found for path in pages for found in re.findall(r"\w+://\w+", path.read_text(encoding="utf-8"))}
    assert addresses == {"http://localhost"}  # in an error message


@pytest.mark.parametrize(
    "folder", [WEB_DEMO, NODE_DEMO, REACT_NATIVE_DEMO, HERE], ids=["web_demo", "node", "react_native", "tests"]
)
def test_web_lock_file_names_no_private_host(folder):
    packages = json.loads((folder / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert len(packages) > 1
    for name, package in packages.items():
        assert package.get("resolved", PUBLIC_REGISTRY).startswith(PUBLIC_REGISTRY), name
