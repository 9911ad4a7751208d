"""The demo app's own reader of artefacts, on the JVM, reads what EdgeDistil writes; the app compiles against stubs.

There is no Android SDK in these tests: no APK is built, and nothing of LiteRT's Kotlin API runs. What the app leaves to
LiteRT is done here with the same runtime's Python API.
"""

import json
import re
import zipfile
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

HERE = Path(__file__).parent
DEMO = HERE.parents[1] / "android_demo"
ROW_SIZE, MAX_TEXT_BYTES = 256, 254
APP = DEMO / "app" / "src" / "main"
LABELS = ("lights", 'the "müsik"\\', "☂ 東京 💡")
TEXTS = (
    *(
        "",
        " ",
        "turn the lights on",
        "ÅNGSTRÖM",
        "東京",
        "💡",
        "👩‍👩‍👧‍👦",
        "\u0000",
        "a\u0000b",
        "\ud83d\udca1",
        "e\u0301",
    ),
    *("x" * MAX_TEXT_BYTES, "x" * (MAX_TEXT_BYTES + 1), "é" * 200, "x" + "é" * 200, "東" * 100, "💡" * 70, "xy💡" * 70),
)


@pytest.fixture(scope="module")
def artifact_paths(make_tiny_classifier, tmp_path_factory):
    """What a user may put into the app: one file for each kind."""
    from edgedistil_converters import (
        ConversionOptions,
        ModelInterface,
        PreparedClassifier,
        QuantizationPlan,
        convert_classifier,
        convert_prepared,
    )
    from edgedistil_runtime.signing import FileSignature
    from edgedistil_runtime.trailing_archive import with_note

    folder, classifier = tmp_path_factory.mktemp("artefacts"), make_tiny_classifier()
    kinds = {
        "int8": {},
        "gpu": {"plan": QuantizationPlan("fp32"), "target": "gpu"},
        "fixed": {"plan": QuantizationPlan("fp32"), "target": "gpu", "fixed_lengths": (8,)},
        "pair": {"plan": QuantizationPlan("fp32"), "interface": ModelInterface(takes_text_pair=True)},
    }
    paths = {
        name: convert_classifier(classifier, LABELS, folder / f"{name}.tflite", **options).artifact.path
        for name, options in kinds.items()
    }
    paths["signed"] = folder / "signed.tflite"
    paths["signed"].write_bytes(with_note(paths["int8"].read_bytes(), FileSignature(bytes(32), bytes(64)).to_line()))
    record = {"unknown_texts": {"label": "none of these", "threshold": -1.5}}
    prepared = PreparedClassifier(classifier, LABELS, "unknown", record=record)
    convert_prepared(prepared, ConversionOptions(QuantizationPlan("fp32")), folder / "unknown.tflite")
    return {**paths, "unknown": folder / "unknown.tflite"}


def corrupt_copies(content):
    """Name -> a file that is not the one that was written."""
    flatbuffer = content.index(b"PK\x03\x04edgedistil.json"[:4])
    end, half = len(content), len(content) // 2
    flipped = {
        "flatbuffer": half // 2,
        "first_byte": 0,
        "identifier": 5,
        "first_member": flatbuffer + 20,
        "directory": end - 150,
        "end_record": end - 82 - 22 + 10,
        "comment": end - 82,
        "digest": end - 1,
    }
    copies = {f"flipped_{name}": _flip(content, at) for name, at in flipped.items()}
    cut = {f"cut_to_{size}": content[:size] for size in (0, 3, 7, 8, 81, 82, 104, half, flatbuffer, end - 1)}
    return {**copies, **cut, "longer": content + b"\0", "text": b"this is no model at all" * 20}


def _flip(content, at):
    changed = bytearray(content)
    changed[at] ^= 1
    return bytes(changed)


@cache
def hostile_archives():
    """Name -> a file whose digest is right and whose archive is not EdgeDistil's."""
    from edgedistil_runtime.trailing_archive import append_archive

    front = b"\x1c\0\0\0TFL3" + bytes(100)
    members = {"edgedistil.json": b"{}", "labels.txt": b"", "vocab.txt": b""}
    return {
        "empty_metadata": append_archive(front, members),
        "no_json": append_archive(front, {**members, "edgedistil.json": b"\xff"}),
        "too_many": append_archive(front, {**members, "x": b""}),
        "too_few": append_archive(front, {"edgedistil.json": b"{}", "labels.txt": b""}),
        "bomb": append_archive(front, {**members, "vocab.txt": bytes(65 * 2**20)}),
        "stranger": append_archive(front, {"edgedistil.json": b"{}", "labels.txt": b"", "other.txt": b""}),
    }


@pytest.fixture(scope="module")
def broken_paths(artifact_paths, tmp_path_factory):
    folder = tmp_path_factory.mktemp("broken")
    copies = {**corrupt_copies(artifact_paths["gpu"].read_bytes()), **hostile_archives()}
    for name, content in copies.items():
        (folder / name).write_bytes(content)
    return {name: folder / name for name in (*copies, "missing")}


@pytest.fixture(scope="module")
def described(core, jvm, artifact_paths, broken_paths, tmp_path_factory):
    """What the app's core reads, in one run of the JVM."""
    folder = tmp_path_factory.mktemp("described")
    (folder / "texts.json").write_text(json.dumps(TEXTS), encoding="utf-8")
    files = [*artifact_paths.values(), *broken_paths.values()]
    done = jvm(core, "dev.edgedistil.core.DescribeKt", folder / "texts.json", folder, *files, options=("-Xmx256m",))
    assert done.returncode == 0, done.stderr[:4000]
    return json.loads(done.stdout)


def test_the_tests_of_the_core_pass(core, jvm):
    done = jvm(core, "dev.edgedistil.core.CoreTestsKt")
    assert done.returncode == 0, done.stdout + done.stderr
    passed, count = re.fullmatch(r"(\d+) of (\d+) tests passed\n", done.stdout).groups()
    assert passed == count and int(count) >= 32


@pytest.mark.parametrize("kind", ["int8", "gpu", "fixed", "pair", "signed", "unknown"])
def test_an_artefact_is_read_as_python_reads_it(described, artifact_paths, kind):
    from edgedistil_runtime.artifact import read_artifact

    artifact = read_artifact(artifact_paths[kind])
    metadata, read = artifact.metadata, described["files"][str(artifact_paths[kind])]
    assert read["labels"] == list(metadata.labels) == list(LABELS)
    assert (read["name"], read["target"]) == (metadata.name, metadata.target)
    assert (read["scheme"], read["tolerance"]) == (metadata.quantization["scheme"], metadata.tolerance)
    assert (read["sequence_length"], read["pad_id"]) == (metadata.tokenizer.sequence_length, metadata.tokenizer.pad_id)
    assert read["hidden_dim"] == metadata.model["hidden_dim"]
    assert read["has_fixed_lengths"] == ("fixed_lengths" in metadata.preparation)
    assert read["unknown"] == (["none of these", -1.5] if kind == "unknown" else None)
    if kind in ("gpu", "fixed"):
        assert Path(read["encoder"]).read_bytes() == artifact.encoder().model
        assert tuple(read["lengths"]) == metadata.encoder.lengths
    else:
        assert read["encoder"] is read["lengths"] is None


@pytest.mark.parametrize("kind", ["int8", "gpu", "pair"])
def test_golden_cases_are_read_and_ranked_as_in_python(described, artifact_paths, kind):
    from edgedistil_runtime.artifact import read_artifact
    from edgedistil_runtime.classification import Classification

    due = read_artifact(artifact_paths[kind]).metadata.golden_cases
    read = described["files"][str(artifact_paths[kind])]["golden_cases"]
    assert any(case.text_pair is not None for case in due) == (kind == "pair")
    for case, found in zip(due, read, strict=True):
        assert (found["text"], found["text_pair"]) == (case.text, case.text_pair)
        assert tuple(found["token_ids"]) == case.token_ids
        assert tuple(found["probabilities"]) == case.probabilities
        scores = dict(zip(LABELS, np.float32(case.probabilities), strict=True))
        ranked = Classification(case.text, "", 0.0, scores).top(len(LABELS))
        assert found["ranking"] == [label for label, _ in ranked]


def test_texts_become_the_bytes_that_python_makes(described):
    from edgedistil_runtime.text_bytes import encode_text

    assert sum(len(text.encode("utf-8", "surrogatepass")) > MAX_TEXT_BYTES for text in TEXTS) >= 5
    for text, row in zip(TEXTS, described["rows"], strict=True):
        data = text.encode("utf-16", "surrogatepass").decode("utf-16").encode()
        if len(data) <= MAX_TEXT_BYTES:
            assert not row["is_cut"]
            kept = data
        else:
            assert row["is_cut"]
            kept = data[:MAX_TEXT_BYTES].decode("utf-8", "ignore").encode()
            assert MAX_TEXT_BYTES - len(kept) < 4
        due = encode_text(kept.decode())
        assert len(row["values"]) == ROW_SIZE >= len(due)
        assert row["values"] == [*due.tolist(), *[0] * (ROW_SIZE - len(due))]


def test_broken_files_are_refused_by_both(described, broken_paths):
    from edgedistil_runtime.artifact import read_artifact
    from edgedistil_runtime.errors import ArtifactError

    for name, path in broken_paths.items():
        with pytest.raises(ArtifactError):
            read_artifact(path)
        error = described["files"][str(path)].get("error")
        assert error, f"the app takes {name}"
        assert len(error) < 600 and not re.search(r"Exception|\bat \w+\.", error), error


def test_the_model_fits_the_apps_constants(artifact_paths):
    """Names of signatures and tensors, and the row that LiteRT's Kotlin API cannot resize."""
    from edgedistil_converters.signatures import DEFAULT_SHAPES
    from edgedistil_runtime import artifact
    from edgedistil_runtime.backends.encoders import encoder_signature

    text_row = (DEMO / "core/src/main/kotlin/dev/edgedistil/core/TextRow.kt").read_text("utf-8")
    assert f"const val ROW_SIZE = {ROW_SIZE}\n" in text_row
    assert "const val MAX_TEXT_BYTES = ROW_SIZE - 2\n" in text_row and MAX_TEXT_BYTES == ROW_SIZE - 2
    names = ("CLASSIFY_TEXT", "TOKENIZE", "CLASSIFY_TEXT_PAIR", "TOKENIZE_PAIR")
    whole = (APP / "kotlin/dev/edgedistil/demo/CompiledTextModel.kt").read_text("utf-8")
    for signature in (getattr(artifact, name) for name in names):
        assert set(DEFAULT_SHAPES[signature].values()) == {(ROW_SIZE,)}
        assert f'"{signature}"' in whole and all(f'"{name}"' in whole for name in DEFAULT_SHAPES[signature])
    parts = (APP / "kotlin/dev/edgedistil/demo/TwoParts.kt").read_text("utf-8")
    assert f'"{encoder_signature(7)}"'.replace("7", "$length") in parts and f'"{artifact.EMBED}"' in parts
    encoder = artifact.read_artifact(artifact_paths["gpu"]).encoder().model
    signatures = signatures_of(encoder)
    assert signatures[encoder_signature(16)] == {
        "inputs": ["attention_bias", "embeddings"],
        "outputs": ["probabilities"],
    }
    for name in (*signatures[encoder_signature(16)]["inputs"], "probabilities", "token_ids"):
        assert f'"{name}"' in parts


def signatures_of(model):
    from ai_edge_litert.interpreter import Interpreter

    listed = Interpreter(model_content=model).get_signature_list()
    return {name: {side: sorted(tensors) for side, tensors in signature.items()} for name, signature in listed.items()}


@pytest.mark.parametrize("kind", ["int8", "gpu", "pair"])
def test_token_ids_come_in_a_second_input_buffer(artifact_paths, kind):
    """The app's way to an output whose size is known after the run alone, in LiteRT's Python API."""
    from ai_edge_litert.compiled_model import CompiledModel

    from edgedistil_runtime.artifact import read_artifact

    model = CompiledModel.from_file(str(artifact_paths[kind]))
    cases = read_artifact(artifact_paths[kind]).metadata.golden_cases
    longest = "?" * MAX_TEXT_BYTES
    for case in [case for case in cases if case.text_pair is None]:
        assert token_ids(model, case.text) == list(case.token_ids)
    assert len(token_ids(model, longest)) == read_artifact(artifact_paths[kind]).metadata.tokenizer.sequence_length


def token_ids(model, text):
    data = text.encode()
    row, output = (model.create_input_buffer_by_name("tokenize", "text") for _ in range(2))
    row.write(np.frombuffer(data.ljust(ROW_SIZE, b"\0"), np.uint8).astype(np.int32))
    output.write(np.full(ROW_SIZE, -1, np.int32))
    model.run_by_name("tokenize", {"text": row}, {"token_ids": output})
    values = output.read(ROW_SIZE, np.int32).tolist()
    return values[: values.index(-1)]


def test_the_steps_of_the_two_part_model_give_the_golden_cases(artifact_paths):
    """As in TwoParts.kt, in LiteRT's Python API, with the encoder on the CPU."""
    from ai_edge_litert.compiled_model import CompiledModel
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    from edgedistil_runtime.artifact import read_artifact

    path = artifact_paths["gpu"]
    artifact = read_artifact(path)
    metadata, part = artifact.metadata, artifact.encoder().model
    whole, encoder = CompiledModel.from_file(str(path)), CompiledModel.from_buffer(part)
    without_xnnpack = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    embed = Interpreter(str(path), experimental_op_resolver_type=without_xnnpack).get_signature_runner("embed")
    lengths = set()
    for case in metadata.golden_cases:
        ids = token_ids(whole, case.text)
        length = next(length for length in metadata.encoder.lengths if length >= len(ids))
        lengths.add(length)
        row = np.full((1, length), metadata.tokenizer.pad_id, np.int32)
        row[0, : len(ids)] = ids
        inputs = embed(token_ids=row)
        assert inputs["embeddings"].size == length * metadata.model["hidden_dim"]
        assert inputs["attention_bias"].size == length
        probabilities = encode(encoder, f"classify_embeddings_{length}", inputs, len(LABELS))
        np.testing.assert_allclose(probabilities, case.probabilities, rtol=0, atol=metadata.tolerance)
    assert lengths


def test_a_file_with_fixed_lengths_needs_no_interpreter(artifact_paths):
    """As FixedHost in TwoParts.kt: one CompiledModel gives token ids and embeddings, and no input is resized."""
    from ai_edge_litert.compiled_model import CompiledModel

    from edgedistil_runtime.artifact import read_artifact
    from edgedistil_runtime.contract import fixed_embed

    artifact = read_artifact(artifact_paths["fixed"])
    metadata = artifact.metadata
    host, encoder = CompiledModel.from_file(str(artifact.path)), CompiledModel.from_buffer(artifact.encoder().model)
    lengths = set()
    for case in metadata.golden_cases:
        ids = token_ids(host, case.text)
        length = next(length for length in metadata.encoder.lengths if length >= len(ids))
        lengths.add(length)
        row = np.full(length, metadata.tokenizer.pad_id, np.int32)
        row[: len(ids)] = ids
        signature = fixed_embed(length)
        source = host.create_input_buffer_by_name(signature, "token_ids")
        source.write(row)
        sizes = {"embeddings": length * metadata.model["hidden_dim"], "attention_bias": length}
        outputs = {name: host.create_output_buffer_by_name(signature, name) for name in sizes}
        host.run_by_name(signature, {"token_ids": source}, outputs)
        inputs = {name: outputs[name].read(size, np.float32) for name, size in sizes.items()}
        probabilities = encode(encoder, f"classify_embeddings_{length}", inputs, len(LABELS))
        np.testing.assert_allclose(probabilities, case.probabilities, rtol=0, atol=metadata.tolerance)
    assert len(lengths) > 1
    parts = (APP / "kotlin/dev/edgedistil/demo/TwoParts.kt").read_text("utf-8")
    assert f'"{fixed_embed(7)}"'.replace("7", "${tokenIds.size}") in parts


def encode(encoder, signature, inputs, num_classes):
    buffers = {name: encoder.create_input_buffer_by_name(signature, name) for name in inputs}
    for name, values in inputs.items():
        buffers[name].write(np.ascontiguousarray(values, np.float32))
    output = encoder.create_output_buffer_by_name(signature, "probabilities")
    encoder.run_by_name(signature, buffers, {"probabilities": output})
    return output.read(num_classes, np.float32)


def resources():
    """Kind -> the names that `res/` defines."""
    defined = {"string": [], "style": [], "drawable": [path.stem for path in (APP / "res/drawable").iterdir()]}
    for path in (APP / "res").glob("values*/*.xml"):
        for element in ElementTree.parse(path).getroot():
            defined[element.tag].append(element.get("name"))
    return defined


@pytest.fixture(scope="module")
def compile_app(core, compile_kotlin, kotlin_libraries, tmp_path_factory):
    """`compile_app({"File.kt": source})`: the compiler's process and jar; those sources come on top of the app's."""

    def run(further=()):
        folder = tmp_path_factory.mktemp("generated")
        ids = "".join(f"        const val {name} = {i}\n" for i, name in enumerate(resources()["string"]))
        (folder / "R.kt").write_text(
            f"package dev.edgedistil.demo\n\nobject R {{\n    object string {{\n{ids}    }}\n}}\n", "utf-8"
        )
        for name, source in dict(further).items():
            (folder / name).write_text(source, "utf-8")
        classpath = [*core, kotlin_libraries("kotlinx-coroutines-core-jvm")]
        sources = [APP / "kotlin", HERE / "stubs", folder]
        return compile_kotlin("app", sources, classpath, plugins=["compose-compiler-plugin"])

    return run


def test_the_app_compiles_against_stubs(compile_app):
    """With Kotlin's own compiler, its Compose compiler, and its coroutines."""
    done, jar = compile_app()
    assert done.returncode == 0, done.stderr[:4000]
    with zipfile.ZipFile(jar) as archive:
        names = archive.namelist()
    assert "dev/edgedistil/demo/MainActivity.class" in names and "dev/edgedistil/demo/ui/ThemeKt.class" in names


def test_the_compiler_finds_what_an_app_must_not_do(compile_app):
    """Else the test before could not fail: a string that is missing, a composable outside of composition."""
    wrong = """package dev.edgedistil.demo
import androidx.compose.ui.res.stringResource
fun outside() = stringResource(R.string.app_name)
fun missing() = R.string.no_such_string
"""
    done, _ = compile_app({"Wrong.kt": wrong})
    assert done.returncode != 0
    errors = re.findall(r"Wrong\.kt:(\d+):\d+: error: (.*)", done.stderr)
    assert {line for line, _ in errors} == {"3", "4"}, done.stderr[:2000]
    assert any("@Composable" in message for _, message in errors)
    assert any("no_such_string" in message for _, message in errors)
