"""What quantization-aware training is given: jobs in folders, batches, settings and data."""

import zipfile
from dataclasses import replace
from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest

from edgedistil_converters.files import sole_use
from edgedistil_converters.model.named_arrays import named_arrays
from edgedistil_converters.preparation.quantization_aware import QATData, QATSettings, train_quantization_aware
from edgedistil_converters.preparation.quantization_aware import job as job_module
from edgedistil_converters.preparation.quantization_aware.batches import Texts, teacher_logits
from edgedistil_converters.preparation.quantization_aware.job import (
    CHECKPOINT,
    RESULT,
    read_arrays,
    read_job,
    remove_job,
    write_arrays,
    write_job,
)
from edgedistil_runtime.errors import ConversionError, OutputError

from .quantization_aware_jobs import (
    CLASSES,
    MIXED,
    PAD,
    POSITIONS,
    SETTINGS,
    TEXTS,
    VOCABULARY,
    make_data,
    make_job,
    make_weights,
    sigmoid,
    softmax,
)

pytestmark = pytest.mark.training


def test_a_job_survives_its_folder(tmp_path):
    job = make_job(make_weights(output_activation="sigmoid"), plan=MIXED)
    write_job(tmp_path, job)
    found = read_job(tmp_path)
    assert found.digest == job.digest
    assert found.settings == SETTINGS
    assert found.weight_dtypes == job.weight_dtypes
    assert found.data.token_ids == job.data.token_ids
    assert found.weights.output_activation == "sigmoid"
    for name, array in named_arrays(job.weights).items():
        np.testing.assert_array_equal(named_arrays(found.weights)[name], array)


def test_only_the_same_job_finds_its_checkpoint(tmp_path):
    weights, data = make_weights(), make_data()
    other_kernel = replace(weights.logits, kernel=weights.logits.kernel + 1)
    other_targets = (data.targets + 1) % CLASSES
    job = make_job()
    others = [
        make_job(settings=replace(SETTINGS, seed=1)),
        make_job(replace(weights, logits=other_kernel)),
        make_job(replace(weights, output_activation="sigmoid")),
        make_job(data=replace(data, targets=other_targets)),
        make_job(pad_id=PAD + 1),
        make_job(plan=MIXED),
    ]
    assert len({other.digest for other in [job, *others]}) == 1 + len(others)
    for other in others:
        write_job(tmp_path, job)
        write_arrays(tmp_path / CHECKPOINT, job.digest, {})
        write_job(tmp_path, job)
        assert (tmp_path / CHECKPOINT).exists()
        write_job(tmp_path, other)
        assert not (tmp_path / CHECKPOINT).exists()
        assert read_job(tmp_path).digest == other.digest


@pytest.mark.parametrize("package", ["tensorflow", "tensorflow-model-optimization", "tf-keras"])
def test_another_version_of_what_trains_is_another_job(monkeypatch, package):
    digest, installed = make_job().digest, job_module.version
    monkeypatch.setattr(job_module, "version", lambda name: "0.0" if name == package else installed(name))
    assert make_job().digest != digest


def test_a_package_by_another_name_is_no_obstacle(monkeypatch):
    def absent(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(job_module, "version", absent)
    assert len(make_job().digest) == 64


def damage(path, at=0.5):
    content = bytearray(path.read_bytes())
    content[int(len(content) * at)] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", [CHECKPOINT, RESULT])
@pytest.mark.parametrize("hurt", [damage, lambda path: path.write_bytes(path.read_bytes()[:-100])])
def test_a_damaged_checkpoint_or_result_is_none(tmp_path, name, hurt):
    job = make_job()
    arrays = {"state/0": np.arange(10_000), "state/1": np.arange(10_000)}
    write_arrays(tmp_path / name, job.digest, arrays)
    hurt(tmp_path / name)
    assert read_arrays(tmp_path, name, job.digest) is None
    write_job(tmp_path, job)
    assert not (tmp_path / name).exists()

    write_arrays(tmp_path / name, job.digest, arrays)
    write_job(tmp_path, job)
    np.testing.assert_array_equal(read_arrays(tmp_path, name, job.digest)["state/1"], arrays["state/1"])


def test_a_damaged_job_is_written_again(tmp_path):
    job = make_job()
    write_job(tmp_path, job)
    damage(tmp_path / "job.npz")
    with pytest.raises(zipfile.BadZipFile):
        read_job(tmp_path)
    write_job(tmp_path, job)
    assert read_job(tmp_path).digest == job.digest


@pytest.mark.parametrize("mask", [0x01, 0x80, 0xFF])
def test_no_wrong_byte_gets_further_than_the_reader(tmp_path, mask):
    """A byte that no checksum covers, as that of a date, changes nothing; any other makes the file none."""
    path, due = tmp_path / CHECKPOINT, np.arange(7, dtype=np.float32)
    write_arrays(path, "digest", {"state/0": due})
    content, refused = path.read_bytes(), 0
    for index in range(len(content)):
        path.write_bytes(content[:index] + bytes([content[index] ^ mask]) + content[index + 1 :])
        arrays = read_arrays(tmp_path, CHECKPOINT, "digest")
        refused += arrays is None
        assert arrays is None or np.array_equal(arrays["state/0"], due), index
    assert len(content) / 2 < refused < len(content)


def test_a_file_that_the_system_does_not_give_out_is_named(tmp_path):
    (tmp_path / CHECKPOINT).mkdir()
    with pytest.raises(OutputError, match="cannot be read: Is a directory. Received: .*checkpoint.npz"):
        write_job(tmp_path, make_job())


def test_a_job_is_removed_and_what_others_put_there_stays(tmp_path):
    folder = tmp_path / "job"
    folder.mkdir()
    write_job(folder, make_job())
    (folder / "lock").touch()  # as a killed process leaves it
    (folder / "notes.txt").touch()
    remove_job(folder)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]
    (folder / "notes.txt").unlink()
    remove_job(folder)
    assert not folder.exists()
    remove_job(folder)


def test_a_job_in_training_is_not_removed(tmp_path):
    with sole_use(tmp_path) as is_ours:
        assert is_ours
        write_job(tmp_path, make_job())
        remove_job(tmp_path)
        assert (tmp_path / "job.npz").exists()


def test_an_epoch_shows_every_text_once_in_an_order_of_its_seed():
    data = make_data()
    texts = Texts(data, make_weights(), PAD)
    first, second, other = (texts.epoch(epoch, batch_size=16, seed=seed) for epoch, seed in ((1, 0), (2, 0), (1, 1)))
    for batches in (first, second, other):
        assert [len(rows) for rows in sorted(batches, key=len)] == [12, 16, 16, 16]
        assert sorted(np.concatenate(batches).tolist()) == list(range(TEXTS))
    orders = [np.concatenate(batches).tolist() for batches in (first, second, other)]
    assert len({tuple(order) for order in orders}) == 3
    assert orders[0] == np.concatenate(texts.epoch(1, batch_size=16, seed=0)).tolist()


def test_a_batch_is_as_long_as_its_longest_text():
    data = QATData(((2, 7, 3), (2, 8, 9, 3), (2, *range(5, 15), 3)), np.asarray([0, 1, 2]), np.eye(3))
    batch = Texts(data, make_weights(), pad_id=1).batch(np.asarray([1, 0]))
    assert batch.token_ids.tolist() == [[2, 8, 9, 3], [2, 7, 3, 1]]
    assert batch.targets.tolist() == [1, 0]


def test_teacher_logits_give_the_probabilities_back():
    probabilities = np.asarray([[0.7, 0.2, 0.1], [1.0, 0.0, 0.0]], np.float32)
    np.testing.assert_allclose(softmax(teacher_logits(probabilities, "softmax")), probabilities, atol=1e-6)
    np.testing.assert_allclose(sigmoid(teacher_logits(probabilities, "sigmoid")), probabilities, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("epochs", 1.5),
        ("batch_size", 0),
        ("seed", -1),
        ("learning_rate", 0),
        ("learning_rate", float("nan")),
        ("temperature", float("inf")),
        ("distillation_weight", 1.1),
    ],
)
def test_impossible_settings_cannot_be_built(name, value):
    with pytest.raises(ConversionError, match=f"{name} .*Received: {value}"):
        QATSettings(**{name: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"token_ids": ()}, "at least one text"),
        ({"targets": np.zeros((TEXTS, CLASSES), np.int32)}, "targets of shape"),  # its outputs are no sigmoids
        ({"targets": np.zeros(3, np.int32)}, "targets of shape"),
        ({"targets": np.full(TEXTS, CLASSES, np.int32)}, "targets from 0 to 2"),
        ({"targets": np.zeros(TEXTS, np.float32)}, "whole numbers"),
        ({"teacher": np.zeros((TEXTS, 2), np.float32)}, r"shape \(60, 3\)"),
        ({"teacher": np.full((TEXTS, CLASSES), np.nan, np.float32)}, "probabilities from 0"),
        ({"token_ids": ((2, VOCABULARY, 3),) * TEXTS}, "token ids from 0 to 39"),
        ({"token_ids": ((2,) * (POSITIONS + 1),) * TEXTS}, "tokens of a text from 1 to 14"),
        ({"token_ids": ((),) * TEXTS}, "tokens of a text from 1 to 14"),
    ],
)
def test_data_that_do_not_fit_are_refused_before_any_work(tmp_path, change, message):
    folder = tmp_path / "job"
    folder.mkdir()
    with pytest.raises(ConversionError, match=message):
        train_quantization_aware(make_weights(), replace(make_data(), **change), SETTINGS, pad_id=PAD, folder=folder)
    assert not folder.exists()  # it was empty
