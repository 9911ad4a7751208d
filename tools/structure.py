"""Counts the structure of the three packages, and follows a classifier through a real conversion.

    python tools/structure.py                       # folders, modules, import arrows, circles
    python tools/structure.py --route PRESET        # files that the classifier visits in `convert_preset`

A *room* is what a reader finds on opening a package: a folder, or a module beside the folders. An *arrow* is a pair of
rooms of which one imports from the other. A *visit* is a run of calls inside one file that receive the classifier, its
preprocessor, its weights, or a value that holds one of these, as an argument; a *return* is a visit to a file that was
left before. Run it in two checkouts to compare them.
"""

import argparse
import ast
import dataclasses
import json
import sys
import tempfile
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

_ROOT = Path(__file__).parents[1]
_CLASSIFIER = ("DistilBertTextClassifier", "DistilBertTextClassifierPreprocessor", "ClassifierWeights")
_PACKAGES = {
    "edgedistil": _ROOT,
    "edgedistil_converters": _ROOT / "converters",
    "edgedistil_runtime": _ROOT / "runtime",
}


def modules() -> dict[str, Path]:
    """Dotted name -> file, of every module."""
    found = {}
    for package, folder in _PACKAGES.items():
        for path in sorted((folder / package).rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(name: str, path: Path, known: dict[str, Path]) -> Iterator[str]:
    """Names of the modules that a module imports, anywhere in it; those for type checkers only are left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and id(node) not in typing_only:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                target = full if full in known else node.module
                if target in known and target != name:
                    yield target


def room(name: str) -> str:
    """The first two parts of a module's name: `edgedistil_converters.graph`, `edgedistil_converters.convert`."""
    return ".".join(name.split(".")[:2])


def structure() -> dict[str, Any]:
    """Rooms of each package, arrows between rooms and between modules, and circles of modules."""
    known = modules()
    edges = {(name, target) for name, path in known.items() for target in imports(name, path, known)}
    arrows = {(room(a), room(b)) for a, b in edges if room(a) != room(b) and "." in a and "." in b}
    rooms = {room(name) for name in known if "." in name}
    return {
        "modules": len(known),
        "rooms": len(rooms),
        "arrows": len(arrows),
        "packages": {
            package: {
                "rooms": sum(r.startswith(f"{package}.") for r in rooms),
                "arrows": sum(all(r.startswith(f"{package}.") for r in arrow) for arrow in arrows),
            }
            for package in _PACKAGES
        },
        "arrows_between_modules": len(edges),
        "circles": _circles(edges),
    }


def _circles(edges: set[tuple[str, str]]) -> list[list[str]]:
    """Groups of modules that import each other in a loop."""
    reachable: dict[str, set[str]] = {}
    for start in {a for a, _ in edges}:
        found, todo = set[str](), [start]
        while todo:
            for a, b in edges:
                if a == todo[0] and b not in found:
                    found.add(b)
                    todo.append(b)
            todo.pop(0)
        reachable[start] = found
    looped = sorted(name for name in reachable if name in reachable[name])
    groups = {tuple(sorted(n for n in looped if n in reachable[m] and m in reachable[n])) for m in looped}
    return [list(group) for group in sorted(groups)]


def route(preset: str) -> dict[str, Any]:
    """Converts a preset and follows its classifier.

    Args:
        preset: what `edgedistil convert --preset` takes.
    """
    from edgedistil.conversion import ConversionRequest, convert_preset

    files: list[str] = []
    ours: dict[CodeType, bool] = {}
    folders = tuple(str(folder / name) for name, folder in _PACKAGES.items())

    def follow(frame: FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        if event != "call" or not ours.setdefault(code, code.co_filename.startswith(folders)):
            return
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        if any(_holds_classifier(frame.f_locals.get(name)) for name in names):
            files.append(Path(code.co_filename).relative_to(_ROOT).as_posix())

    with tempfile.TemporaryDirectory() as folder:
        request = ConversionRequest(preset, Path(folder, "file.tflite"))
        sys.setprofile(follow)
        try:
            convert_preset(request)
        finally:
            sys.setprofile(None)
    visits = [path for path, _ in groupby(files)]
    returns = len(visits) - len(set(visits))
    return {"visits": len(visits), "files": len(set(visits)), "returns": returns, "route": visits}


def _holds_classifier(value: object) -> bool:
    """True for the classifier, its preprocessor, its weights as arrays, and dataclasses that hold one of these."""
    if type(value).__name__ in _CLASSIFIER:
        return True
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return any(type(getattr(value, name, None)).__name__ in _CLASSIFIER for name in ("classifier", "weights"))
    return False


def main() -> None:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--route", metavar="PRESET", help="follow the classifier of this preset instead")
    arguments = parser.parse_args()
    print(json.dumps(route(arguments.route) if arguments.route else structure(), indent=1))


if __name__ == "__main__":
    main()
