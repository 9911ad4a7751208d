"""demos/c: compiled here against libLiteRt.so of the wheel, beside the runtime's answers."""

import importlib.util
import json
import platform
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ..conftest import HANG

DEMO = Path(__file__).parents[2] / "demos" / "c"
TOLERANCE = 1e-5
TEXTS = (
    "turn on the kitchen light",
    "play some jazz",
    "is it raining in Zürich, café déjà fermé?",
    "",
    " ",
    "a",
    "x" * 128,
    "x" * 129,
    "please turn on the kitchen light and then the radio " * 60,
    "打开客厅的灯 💡 \u0301 on",
    "turn off the light",
)


def litert_folder():
    found = importlib.util.find_spec("ai_edge_litert")
    return Path(found.submodule_search_locations[0]) if found else None


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    library = (litert_folder() or Path()) / "libLiteRt.so"
    compiler = shutil.which("cc")
    if compiler is None or not library.is_file():
        pytest.skip("there is no C compiler, or no libLiteRt.so of ai-edge-litert")
    path = tmp_path_factory.mktemp("c") / "classify"
    options = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", f"-L{library.parent}", f"-Wl,-rpath,{library.parent}"]
    sources = [str(DEMO / "classify.c"), str(DEMO / "edgedistil.c")]
    built = subprocess.run(
        [compiler, *options, *sources, "-lLiteRt", "-lz", "-lm", "-o", str(path)], capture_output=True, text=True
    )
    if "zlib.h: No such file" in built.stderr:
        pytest.skip("zlib's header is not installed")
    assert built.returncode == 0, built.stderr
    return path


def run(program, *arguments, texts=()):
    lines = "".join(f"{text}\n" for text in texts).encode()
    done = subprocess.run([program, *map(str, arguments)], input=lines, capture_output=True, timeout=HANG)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.fixture(scope="module")
def convert(tmp_path_factory):
    def make(preset, **options):
        from edgedistil.conversion import ConversionRequest, convert_preset
        from edgedistil_converters import QuantizationPlan

        path = tmp_path_factory.mktemp("converted") / "model.tflite"
        convert_preset(ConversionRequest(str(preset), path, QuantizationPlan("int8"), **options))
        return path

    return make


@pytest.fixture(scope="module")
def smart_home(convert):
    return convert("smart_home_tiny_en")


def expected(path, texts):
    from edgedistil_runtime import TextClassifier

    with TextClassifier(path, num_threads=1) as model:
        return [model.classify(text) for text in texts]


def test_answers_are_those_of_python(program, smart_home):
    from edgedistil.presets import bundled_preset_path

    samples = (bundled_preset_path("smart_home_tiny_en") / "samples.jsonl").read_text("utf-8").splitlines()
    texts = [*TEXTS, *(json.loads(line)["text"] for line in samples[:200])]
    status, output, _ = run(program, "--all", smart_home, texts=texts)
    assert status == 0
    lines = [line.split("\t") for line in output.splitlines()]
    wanted = expected(smart_home, texts)
    assert [line[0] for line in lines] == [answer.label for answer in wanted]
    assert [line[1] for line in lines] == [f"{answer.score:.4f}" for answer in wanted]
    given = np.array([line[2:] for line in lines], "float64")
    np.testing.assert_allclose(given, [list(answer.probabilities.values()) for answer in wanted], atol=TOLERANCE)


def test_a_line_has_label_and_probability(program, smart_home):
    status, output, _ = run(program, smart_home, texts=["turn on the kitchen light"])
    assert status == 0
    assert re.fullmatch(r"light_on\t0\.\d{4}\n", output)


@pytest.mark.parametrize(
    "change",
    [
        lambda content: b"",
        lambda content: content[:1000],
        lambda content: content[:-50],
        lambda content: content[-5000:],
        lambda content: content.replace(b"labels.txt", b"labels.csv"),
        lambda content: content.replace(b"classify_text\0", b"classify_test\0"),
    ],
    ids=["empty", "start", "without its end", "end", "without labels", "without the signature"],
)
def test_a_file_that_is_refused(program, smart_home, tmp_path, change):
    path = tmp_path / "damaged.tflite"
    path.write_bytes(change(smart_home.read_bytes()))
    status, output, errors = run(program, path, texts=["hello"])
    assert (status, output) == (1, "")
    assert re.search("^error: .*(EdgeDistil wrote|no signature classify_text|LiteRT cannot)", errors, re.MULTILINE)


def test_a_file_that_is_missing(program, tmp_path):
    status, output, errors = run(program, tmp_path / "none.tflite")
    assert (status, output) == (1, "")
    assert "error: " in errors


def test_use(program):
    status, output, errors = run(program)
    assert (status, output) == (2, "")
    assert errors.startswith("usage: ")


def test_labels_are_read_as_any_zip_reader_does(program, smart_home, tmp_path):
    labels = zipfile.ZipFile(smart_home).read("labels.txt").decode().splitlines()
    status, output, _ = run(program, "--all", smart_home, texts=TEXTS)
    assert status == 0
    assert {len(line.split("\t")) for line in output.splitlines()} == {2 + len(labels)}


# Lower it with every gain. It was 1.93 million when this was written, with the kernels for AVX2, which are the newest
# that valgrind knows, whatever the processor is.
MOST_INSTRUCTIONS = 1_960_000


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the count is that of kernels for x86-64")
def test_a_text_costs_no_more_instructions_than_it_did(program, smart_home, tmp_path):
    """Counted by callgrind, which a busy machine does not disturb."""
    if shutil.which("valgrind") is None:
        pytest.skip("there is no valgrind")

    def instructions(texts):
        counted = tmp_path / f"{texts}.out"
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={counted}", program, smart_home]
        lines = b"turn the kitchen lights off\n" * texts
        done = subprocess.run(command, input=lines, capture_output=True, check=True, timeout=HANG)
        assert done.stdout.count(b"light_off") == texts
        return int(re.findall(r"^(?:summary|totals): (\d+)", counted.read_text(), re.MULTILINE)[-1])

    assert 1_000_000 < (instructions(11) - instructions(1)) / 10 < MOST_INSTRUCTIONS
