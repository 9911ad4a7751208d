"""Arrows run one way: runtime <- converters <- edgedistil; and one version for all three."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from ..conftest import HANG

ROOT = Path(__file__).parents[2]
RUNTIME = ROOT / "runtime" / "edgedistil_runtime"
CONVERTERS = ROOT / "converters" / "edgedistil_converters"
HEAVY = {"tensorflow", "tensorflow_text", "keras", "keras_hub", "tf_keras", "transformers", "tokenizers", "torch"}


def imports_of(source):
    """Top-level names of all packages that a source imports, in functions and under conditions as well."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").split(".")[0] if not node.level else ".")
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("importlib.import_module", "__import__"):
            names |= {
                a.value.split(".")[0] for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)
            }
    return names


def test_the_scan_sees_every_form_of_import():
    source = "import a.b\nfrom c.d import e\ndef f():\n    import g as h\n    importlib.import_module('i.j')"
    assert imports_of(source) == {"a", "c", "g", "i"}
    assert imports_of("from . import k") == {"."}


def all_imports(folder):
    files = sorted(folder.rglob("*.py"))
    assert len(files) >= 10
    return {path.relative_to(folder).as_posix(): imports_of(path.read_text("utf-8")) for path in files}


# Imported when such a backend is made, and refused with advice where it is not installed.
OPTIONAL_BACKENDS = {"backends/interpreters.py": {"tensorflow", "tensorflow_text"}}


@pytest.mark.parametrize(
    ("folder", "forbidden"),
    [(RUNTIME, {*HEAVY, "edgedistil", "edgedistil_converters"}), (CONVERTERS, {"edgedistil"})],
    ids=["runtime", "converters"],
)
def test_no_arrow_runs_backwards(folder, forbidden):
    found = {name: names & forbidden for name, names in all_imports(folder).items()}
    for name, names in OPTIONAL_BACKENDS.items():
        found[name] = found.get(name, set()) - names
    assert {name: names for name, names in found.items() if names} == {}


def test_the_runtime_is_what_both_sides_share():
    assert "edgedistil_runtime" in set().union(*all_imports(CONVERTERS).values())


@pytest.mark.parametrize("module", ["edgedistil_runtime", "edgedistil_converters.tflite.structure"])
def test_light_modules_load_nothing_heavy(module):
    code = f"import sys, {module}; print(sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=HANG)
    assert done.stdout.strip() == "[]"


NUMERIC = {"numpy", "ai_edge_litert", "flatbuffers", "tensorflow", "keras"}


@pytest.mark.parametrize("module", ["interface", "quantization.plan", "sites", "targets.plans"])
def test_modules_that_a_command_line_lists_choices_from_load_no_numbers(module):
    code = f"import sys, edgedistil_converters.{module}; print(sorted({NUMERIC!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=HANG)
    assert done.stdout.strip() == "[]"


def project(folder):
    return tomllib.loads((ROOT / folder / "pyproject.toml").read_text("utf-8"))["project"]


def test_three_distributions_have_one_version_and_pin_one_another():
    version = project(".")["version"]
    assert [project(folder)["version"] for folder in ("converters", "runtime")] == [version, version]
    pins = {
        folder: sorted(d for d in project(folder)["dependencies"] if d.startswith("edgedistil"))
        for folder in (".", "converters", "runtime")
    }
    assert pins == {
        ".": [f"edgedistil-converters=={version}", f"edgedistil-runtime=={version}"],
        "converters": [f"edgedistil-runtime=={version}"],
        "runtime": [],
    }


def test_exported_names_exist():
    import edgedistil_converters

    assert all(getattr(edgedistil_converters, name) is not None for name in edgedistil_converters.__all__)
    with pytest.raises(AttributeError, match="no_such_name"):
        edgedistil_converters.no_such_name  # noqa: B018
