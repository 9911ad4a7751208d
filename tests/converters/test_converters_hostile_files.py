"""A converted model and its packed weights, damaged in every way: an error or the right labels, never a crash."""

import dataclasses
import io
import os
import random
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from edgedistil_runtime import ArtifactError, TextClassifier
from edgedistil_runtime.artifact import artifact_bytes, read_artifact

from ..conftest import HANG

COPIES = 300
TEXTS = ("turn on the light", "play music", "off", "Straße")


@pytest.fixture(scope="module")
def path(convert):
    return convert("int8").artifact.path


def flip(content, generator):
    changed = bytearray(content)
    for _ in range(generator.choice([1, 1, 2, 50])):
        changed[generator.randrange(len(changed))] ^= 1 << generator.randrange(8)
    return bytes(changed)


def cut(content, generator):
    start, end = sorted(generator.randrange(len(content)) for _ in range(2))
    return generator.choice([content[:end], content[start:], content[:start] + content[end:]])


def shuffle(content, generator):
    """Sections in another order; two equal ones would be no damage."""
    size = generator.choice([16, 512, 4096])
    sections = [content[start : start + size] for start in range(0, len(content), size)]
    first, second = generator.sample(range(len(sections)), 2)
    sections[first], sections[second] = sections[second], sections[first]
    return b"".join(sections)


def edit_metadata(content, generator):
    """The archive again, with a label, a number or a piece changed and all else as it was, its comment included."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
        comment, start = archive.comment, min(info.header_offset for info in archive.infolist())
    name = generator.choice(sorted(members))
    members[name] = flip(members[name], generator)
    buffer = io.BytesIO()
    buffer.write(content[:start])
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive:
        for member, data in members.items():
            archive.writestr(member, data)
        archive.comment = comment
    return buffer.getvalue()


def hostile_archive(content, generator):
    """Another archive behind the model: a bomb, a path that climbs, thousands of members, or one behind the archive."""
    size = len(content) // 2
    buffer = io.BytesIO()
    buffer.write(content if generator.random() < 0.5 else content[:size])
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive:
        kind = generator.randrange(3)
        if kind == 0:
            archive.writestr("bomb", bytes(generator.randrange(10**6, 10**7)))
        elif kind == 1:
            archive.writestr("../../evil", b"x")
        else:
            for number in range(generator.randrange(100, 1000)):
                archive.writestr(str(number), b"")
        archive.comment = content[-82:] if generator.random() < 0.5 else b""
    return buffer.getvalue()


DAMAGES = (flip, flip, cut, shuffle, edit_metadata, hostile_archive)


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_damaged_copies_are_refused(path, tmp_path):
    content, generator = path.read_bytes(), random.Random(300)
    target = tmp_path / "copy.tflite"
    for number in range(COPIES):
        damaged = DAMAGES[number % len(DAMAGES)](content, generator)
        while damaged == content:
            damaged = DAMAGES[number % len(DAMAGES)](content, generator)
        target.write_bytes(damaged)
        with pytest.raises(ArtifactError):
            TextClassifier(target)


def test_the_undamaged_file_is_not(path):
    with TextClassifier(path) as classifier:
        assert len(classifier.classify_batch(TEXTS)) == len(TEXTS)


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="files are kept on Linux alone")
class TestWeightCache:
    @pytest.fixture
    def due(self, path):
        with TextClassifier(path, weight_cache=False) as classifier:
            return np.array([list(classifier.classify(text).probabilities.values()) for text in TEXTS])

    @pytest.fixture
    def kept(self, path, tmp_path):
        folder = tmp_path / "cache"
        TextClassifier(path, weight_cache=folder).close()
        (found,) = folder.iterdir()
        return found

    def test_packed_weights_give_the_same_numbers(self, path, kept, due):
        for _ in range(2):
            with TextClassifier(path, weight_cache=kept.parent) as classifier:
                received = [list(classifier.classify(text).probabilities.values()) for text in TEXTS]
                together = [list(answer.probabilities.values()) for answer in classifier.classify_batch(TEXTS)]
            np.testing.assert_allclose(received, due, rtol=0, atol=1e-3)
            np.testing.assert_allclose(together, due, rtol=0, atol=1e-3)
        assert kept.stat().st_size > 1000  # it has weights in it

    def test_damaged_ones_do_no_harm(self, path, kept, due):
        """Our reader refuses each file by its digest before an interpreter sees it; the weights are packed again."""
        generator, sound = random.Random(4), kept.read_bytes()
        code = (
            "import sys\n"
            "from edgedistil_runtime import TextClassifier\n"
            "with TextClassifier(sys.argv[1], weight_cache=sys.argv[2]) as classifier:\n"
            "    print(*[classifier.classify(text).label for text in sys.argv[3:]], sep='\\n')"
        )
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        with TextClassifier(path, weight_cache=False) as classifier:
            labels = [classifier.classify(text).label for text in TEXTS]
        for damage in (flip, cut, shuffle, lambda content, _: content[:16], lambda *_: b""):
            damaged = damage(sound, generator)
            assert damaged != sound
            kept.write_bytes(damaged)
            command = [sys.executable, "-c", code, str(path), str(kept.parent), *TEXTS]
            done = subprocess.run(command, env=environment, capture_output=True, timeout=HANG, check=False, text=True)
            assert done.returncode == 0, done.stderr[-2000:]
            assert done.stdout.splitlines() == labels
            assert [file.read_bytes() for file in kept.parent.iterdir()] == [sound]

    def test_a_cache_of_another_model_is_not_used(self, path, kept, tmp_path):
        artifact = read_artifact(path)
        other = tmp_path / "other.tflite"
        model = artifact.flatbuffer() + bytes(16)  # the same to LiteRT
        other.write_bytes(artifact_bytes(model, artifact.metadata, artifact.vocabulary))
        TextClassifier(other, weight_cache=kept.parent).close()
        assert len({file.name.partition("-")[0] for file in kept.parent.iterdir()}) == 2


_LOAD = """
import sys
from edgedistil_runtime import BackendError, TextClassifier
try:
    for _ in range(3):
        TextClassifier(sys.argv[1], weight_cache=sys.argv[2], verify=False).classify("a")
except BackendError as error:
    print(error)
"""


def test_fewer_labels_than_the_graph_has_are_an_error_and_no_overflow(path, tmp_path):
    """A right digest is no proof of right labels: our reader refuses the file before the model runs."""
    artifact = read_artifact(path)
    case = dataclasses.replace(artifact.metadata.golden_cases[0], probabilities=(1.0,))
    metadata = dataclasses.replace(artifact.metadata, labels=artifact.metadata.labels[:1], golden_cases=(case,))
    changed = tmp_path / "one_label.tflite"
    changed.write_bytes(artifact_bytes(artifact.flatbuffer(), metadata, artifact.vocabulary))
    command = [sys.executable, "-c", _LOAD, changed, tmp_path / "cache"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "must give probabilities of shape (1, 1)" in done.stdout
