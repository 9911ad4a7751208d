"""Models from bytes, file objects and resources: the same answers and the same refusals as from a path."""

import gzip
import importlib
import importlib.resources
import io
import random
import subprocess
import sys
import zipfile
from array import array

import numpy as np
import pytest

from edgedistil_runtime import (
    ArtifactError,
    BackendError,
    FakeBackend,
    InputError,
    LiteRTInterpreterBackend,
    TextClassifier,
    TFLiteRuntimeBackend,
    read_artifact,
)
from edgedistil_runtime.backends import choice, encoders
from edgedistil_runtime.backends.compiled_model import CompiledModelBackend
from edgedistil_runtime.probing import probe

TEXTS = ["", "hello", "größer 日本"]


def answers(model, **options):
    with TextClassifier(model, num_threads=1, **options) as classifier:
        assert classifier.runtime_info.golden_cases == 4
        return [list(classifier.classify(text).probabilities.values()) for text in TEXTS]


def refusal(model):
    with pytest.raises(ArtifactError) as caught:
        TextClassifier(model)
    return str(caught.value)


@pytest.fixture
def model(echo_path):
    """The content of an artifact that a real interpreter runs."""
    return echo_path.read_bytes()


@pytest.fixture
def package(tmp_path, monkeypatch, model):
    """`package(name)` makes a package with the model, in a folder or in a ZIP archive, and returns its resources."""

    def make(name, *, is_zipped):
        members = {f"{name}/__init__.py": b"", f"{name}/model.tflite": model}
        root = tmp_path / ("site.zip" if is_zipped else "site")
        if is_zipped:
            with zipfile.ZipFile(root, "w", zipfile.ZIP_DEFLATED) as archive:
                for member, content in members.items():
                    archive.writestr(member, content)
        else:
            for member, content in members.items():
                (root / member).parent.mkdir(parents=True, exist_ok=True)
                (root / member).write_bytes(content)
        monkeypatch.syspath_prepend(root)
        importlib.invalidate_caches()
        return importlib.resources.files(importlib.import_module(name)) / "model.tflite"

    return make


class TestAnswers:
    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, io.BytesIO, np.frombuffer, lambda b: array("B", b)])
    def test_content(self, echo_path, model, kind):
        given = np.frombuffer(model, np.uint8) if kind is np.frombuffer else kind(model)
        assert answers(given) == answers(echo_path)

    def test_a_buffer_may_be_reused(self, echo_path, model):
        buffer = bytearray(model)
        with TextClassifier(buffer, num_threads=1) as classifier:
            buffer[:] = bytes(len(buffer))
            found = [list(classifier.classify(text).probabilities.values()) for text in TEXTS]
        assert found == answers(echo_path)

    def test_a_file_object_is_read_from_its_position_and_stays_open(self, echo_path, tmp_path, model):
        (tmp_path / "later").write_bytes(b"before" + model)
        with (tmp_path / "later").open("rb") as file:
            file.seek(6)
            assert answers(file) == answers(echo_path)
            assert not file.closed

    def test_members_of_a_zip_archive(self, echo_path, tmp_path, model):
        with zipfile.ZipFile(tmp_path / "app.apk", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("assets/model.tflite", model)
        with zipfile.ZipFile(tmp_path / "app.apk") as archive:
            with archive.open("assets/model.tflite") as member:
                assert answers(member) == answers(echo_path)
            assert answers(zipfile.Path(archive, "assets/model.tflite")) == answers(echo_path)

    def test_resources_of_packages(self, echo_path, package):
        in_a_folder, in_a_zip = package("models_a", is_zipped=False), package("models_b", is_zipped=True)
        assert answers(in_a_folder) == answers(in_a_zip) == answers(echo_path)
        assert read_artifact(in_a_folder).path is not None
        assert read_artifact(in_a_zip).path is None

    def test_compressed(self, echo_path, model):
        assert answers(gzip.GzipFile(fileobj=io.BytesIO(gzip.compress(model)))) == answers(echo_path)

    def test_read_artifact(self, echo_path, model, echo_flatbuffer):
        artifact = read_artifact(model)
        assert (artifact.path, artifact.size) == (None, len(model))
        assert artifact.model is model
        assert artifact.flatbuffer() == echo_flatbuffer
        assert artifact.metadata == read_artifact(echo_path).metadata
        assert len(repr(artifact)) < 20_000

    @pytest.mark.parametrize("backend", [LiteRTInterpreterBackend, TFLiteRuntimeBackend])
    def test_every_interpreter(self, model, echo_path, backend):
        if not backend.is_installed():
            pytest.skip(f"{backend.name} is not installed")
        assert answers(model, backend=backend(model, num_threads=1)) == answers(echo_path, backend=backend(echo_path))

    def test_the_bytes_outlive_the_callers(self, model, echo_path):
        """The interpreter reads them in place."""
        due, copy = answers(echo_path), bytes(bytearray(model))
        with TextClassifier(copy, num_threads=1) as classifier:
            del copy
            rubbish = [bytes(len(model)) for _ in range(50)]
            assert [list(classifier.classify(text).probabilities.values()) for text in TEXTS] == due
        assert len(rubbish) == 50


class TestCompiledModel:
    @pytest.fixture(autouse=True)
    def litert(self):
        if not CompiledModelBackend.is_installed():
            pytest.skip("ai-edge-litert is not installed")

    def test_large_models(self, model, echo_path, monkeypatch):
        monkeypatch.setattr(choice, "LARGEST_IN_MEMORY", 1000)
        with TextClassifier(model) as classifier:
            assert classifier.runtime_info.backend == CompiledModelBackend.name
            found = [list(classifier.classify(text).probabilities.values()) for text in TEXTS]
        np.testing.assert_allclose(found, answers(echo_path, weight_cache=False), rtol=0, atol=1e-6)

    def test_one_weight_cache_for_the_file_and_its_content(self, model, echo_path, tmp_path):
        due = answers(model, weight_cache=tmp_path / "cache")
        [kept] = (tmp_path / "cache").iterdir()
        written = kept.stat().st_mtime_ns
        assert answers(echo_path, weight_cache=tmp_path / "cache") == due
        assert [(path, path.stat().st_mtime_ns) for path in (tmp_path / "cache").iterdir()] == [(kept, written)]


class TestRefusals:
    def test_every_byte_counts(self, model):
        generator = random.Random(3)
        for _ in range(60):
            place = generator.randrange(len(model))
            changed = bytearray(model)
            changed[place] ^= 1 << generator.randrange(8)
            assert refusal(changed)

    def test_the_reasons_are_those_of_a_file(self, model, write):
        for content in (
            b"",
            b"TFL3",
            b"PK\x05\x06" + bytes(18),
            model[:-1],
            model + b"!",
            model[:5000],
            model[: model.rfind(b"PK\x05\x06")],
            model[:100] + b"!" + model[101:],
        ):
            path = write(content)
            assert refusal(content) == refusal(path).removeprefix(f"{path}: ").replace("a file of ", "")

    def test_no_model_at_all(self, tmp_path):
        for given, received in [
            (None, "NoneType"),
            (5, "int"),
            ([1, 2], "list"),
            ({}, "dict"),
            (object(), "object"),
        ]:
            assert "must be a path, bytes, a file object opened in binary mode, or a resource" in refusal(given)
            assert f"Received: {received}." in refusal(given)
        assert "not its path" in refusal(b"model.tflite")
        assert "path of the model must be text" in refusal(_BytesPath())

    def test_file_objects_that_give_no_model(self, write, content, tmp_path):
        assert "must give bytes. Received: str. Open the file in binary mode" in refusal(io.StringIO("text"))
        path = write(content)
        with path.open("rb") as file:
            file.read()
            assert f"BufferedReader {str(path)!r} has no bytes left to read. Seek to the start" in refusal(file)
        assert "ValueError: read of closed file" in refusal(file)
        with (tmp_path / "new").open("wb") as file:
            assert "UnsupportedOperation" in refusal(file)
        assert "Received: NoneType" in refusal(_Pipe())
        assert "BadGzipFile" in refusal(gzip.GzipFile(fileobj=io.BytesIO(b"no gzip")))

    def test_members_that_cannot_be_read(self, tmp_path, content):
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.writestr("folder/model.tflite", content)
        damaged = bytearray((tmp_path / "a.zip").read_bytes())
        damaged[damaged.index(b"TFL3") + 50] ^= 1
        with zipfile.ZipFile(io.BytesIO(damaged)) as archive:
            assert "BadZipFile: Bad CRC-32" in refusal(archive.open("folder/model.tflite"))
        with zipfile.ZipFile(tmp_path / "a.zip") as archive:
            for name in ("folder/", "none.tflite"):
                assert "The model cannot be read from Path" in refusal(zipfile.Path(archive, name))

    def test_a_given_backend_is_closed(self, echo):
        backend = FakeBackend(echo.answer)
        for options in ({}, {"num_threads": "two"}):
            with pytest.raises((ArtifactError, BackendError)):
                TextClassifier(None, backend=backend, **options)
            with pytest.raises(BackendError, match="closed"):
                backend.run("tokenize", {})


class _Pipe:
    """A file object without data yet."""

    def read(self):
        return None


class _BytesPath:
    def __fspath__(self):
        return b"model.tflite"


class TestProbe:
    def test_the_child_reads_the_content(self, model, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        probe(model, "cpu")
        with pytest.raises(ArtifactError, match="is damaged"):
            probe(model[:50] + b"!" + model[51:], "cpu")

    @pytest.mark.skipif(sys.platform == "win32", reason="needs a shell")
    def test_a_child_that_does_not_read(self, stand_in, model):
        stand_in("echo '{}'")
        probe(model + bytes(1 << 20), "gpu")


class TestNumPyIntegers:
    def test_num_threads(self, model):
        for count in (np.int32(2), np.uint8(2), np.array(2)):
            with TextClassifier(model, num_threads=count) as classifier:
                assert (classifier.runtime_info.num_threads, type(classifier.runtime_info.num_threads)) == (2, int)
        for count in (np.float32(2), np.int64(0), np.bool_(True), "2"):
            with pytest.raises(BackendError, match="`num_threads` must be"):
                TextClassifier(model, num_threads=count)

    def test_token_ids(self, model):
        with TextClassifier(model) as classifier:
            due = classifier.classify_tokens([[1, 5, 2], [1, 2]])
            assert classifier.classify_tokens([np.array([1, 5, 2]), np.array([1, 2], np.uint8)]) == due
            assert classifier.classify_tokens(np.array([[1, 5, 2]], np.int64)) == due[:1]

    @pytest.mark.parametrize("token_ids", [None, 5, "abc", [1, 2], ["ab"], [[1.5]], [[True]], [["1"]], [[None]]])
    def test_what_is_no_row(self, model, token_ids):
        with TextClassifier(model) as classifier, pytest.raises(InputError, match="Received: "):
            classifier.classify_tokens(token_ids)

    @pytest.mark.parametrize("texts", [None, 5])
    def test_what_is_no_batch(self, model, texts):
        with TextClassifier(model) as classifier:
            with pytest.raises(InputError, match="takes a list of texts"):
                classifier.classify_batch(texts)
            with pytest.raises(InputError, match="takes a list of texts"):
                classifier.classify_batch(["a"], 5)

    def test_other_options(self, model, tmp_path):
        with pytest.raises(BackendError, match="`device` must be"):
            encoders.check_edgetpu_device(1)
        if CompiledModelBackend.is_installed():
            with pytest.raises(BackendError, match="`weight_cache` must be a folder"):
                TextClassifier(model, weight_cache=5)


class TestTopK:
    def test_the_most_probable_labels(self, model):
        with TextClassifier(model) as classifier:
            whole = classifier.classify("hello")
            for k in (1, np.int64(2), 3, 9):
                best = classifier.classify("hello", top_k=k)
                assert list(best.probabilities.items()) == whole.top(k)
                assert (best.label, best.score) == (whole.label, whole.score)
            assert list(whole.probabilities) == list(classifier.labels)
            [one, other] = classifier.classify_batch(["hello", "a"], top_k=1)
            assert one == classifier.classify("hello", top_k=1)
            assert len(other.probabilities) == 1
            [row] = classifier.classify_tokens([[1, 2]], top_k=2)
            assert len(row.probabilities) == 2

    @pytest.mark.parametrize("k", [0, -1, 1.5, "1", True])
    def test_what_is_no_number_of_labels(self, model, k):
        with TextClassifier(model) as classifier:
            for call in (
                lambda: classifier.classify("a", top_k=k),
                lambda: classifier.classify_batch(["a", "b"], top_k=k),
                lambda: classifier.classify_tokens([[1, 2]], top_k=k),
                lambda: classifier.classify("a").top(k),
            ):
                with pytest.raises(InputError, match="integer of at least 1"):
                    call()


_MEMORY = """
import sys
from edgedistil_runtime import TextClassifier

def anonymous():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon")) * 1024

with open(sys.argv[1], "rb") as file:
    TextClassifier(file, num_threads=1).close()  # what the first one of a process costs
before = anonymous()
with open(sys.argv[2], "rb") as file:
    content = file.read()
classifier = TextClassifier(content, num_threads=1, weight_cache=False)
print(anonymous() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_is_not_doubled(echo_path, write, echo_flatbuffer, metadata, vocabulary):
    from edgedistil_runtime.artifact import artifact_bytes

    size = 50_000_000  # bytes after the model that no tensor uses
    large = write(artifact_bytes(echo_flatbuffer + bytes(size), metadata, vocabulary), "large.tflite")
    command = [sys.executable, "-c", _MEMORY, str(echo_path), str(large)]
    grown = int(subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout)
    assert size < grown < 1.2 * size
