"""Outputs that appear as a whole: against another process, without hard links, and never in the place of an input."""

import errno
import os

import pytest

from edgedistil_converters.files import atomic_path, check_not_an_input
from edgedistil_runtime.errors import OutputError

from .conversions import names_in


def test_what_another_process_wrote_meanwhile_stays(tmp_path):
    target = tmp_path / "model.tflite"
    with pytest.raises(OutputError, match="exists. Choose another output, or pass `force`"), atomic_path(target):
        target.write_text("first")
    assert target.read_text() == "first"
    assert names_in(tmp_path) == ["model.tflite"]
    with atomic_path(target, force=True) as temporary:
        temporary.write_text("third")
    assert target.read_text() == "third"
    assert names_in(tmp_path) == ["model.tflite"]


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, errno.EACCES], ids=errno.errorcode.get)
def test_a_file_system_without_hard_links(number, tmp_path, monkeypatch):
    def link(*paths):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("edgedistil_converters.files.os.link", link)
    target = tmp_path / "model.tflite"
    with atomic_path(target) as temporary:
        temporary.write_text("new")
    assert target.read_text() == "new"
    other = tmp_path / "other.tflite"
    with pytest.raises(OutputError, match="exists"), atomic_path(other):
        other.write_text("first")
    assert other.read_text() == "first"
    assert names_in(tmp_path) == ["model.tflite", "other.tflite"]


def test_an_output_that_is_an_input(tmp_path):
    preset = tmp_path / "preset"
    (preset / "assets").mkdir(parents=True)
    config, vocabulary, texts = preset / "config.json", preset / "assets" / "vocabulary.txt", tmp_path / "texts.csv"
    for path in (config, vocabulary, texts):
        path.write_text("mine")
    (tmp_path / "linked").symlink_to(preset)
    (tmp_path / "linked.csv").symlink_to(texts)
    for output, given in (
        (texts, texts),
        (texts, tmp_path / "linked.csv"),
        (tmp_path / "preset" / ".." / "texts.csv", texts),
        (config, preset),
        (vocabulary, str(preset)),
        (config, tmp_path / "linked"),
        (tmp_path / "linked" / "config.json", preset),
        (preset, vocabulary),  # a folder that would be replaced with what is in it
    ):
        with pytest.raises(OutputError, match="would replace what it is made of") as caught:
            check_not_an_input(output, ["smart_home_tiny_en", given])
        assert f"{given}. Received: {output}" in str(caught.value)


def test_an_output_that_replaces_no_input(tmp_path):
    preset = tmp_path / "preset"
    preset.mkdir()
    (preset / "config.json").write_text("{}")
    (tmp_path / "preset_2").mkdir()
    (tmp_path / "preset_2" / "model.tflite").write_text("old")
    for output, given in (
        (preset / "model.tflite", preset),  # nothing is there
        (tmp_path / "preset_2" / "model.tflite", preset),
        (tmp_path / "preset_2" / "model.tflite", "hf://organisation/model"),
        (tmp_path / "preset_2" / "model.tflite", tmp_path / "absent.csv"),
    ):
        check_not_an_input(output, [given])
