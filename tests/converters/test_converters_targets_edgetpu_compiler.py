"""The Edge TPU's compiler: what its log says, and how it is run."""

import json
import stat

import pytest

from edgedistil_converters.targets.edgetpu_compiler import parse_compiler_log, run_edgetpu_compiler
from edgedistil_runtime.errors import ConversionError

LOG = """\
Edge TPU Compiler version 16.0.384591198
Started a compilation timeout timer of 180 seconds.

Model compiled successfully in 812 ms.

Input model: encoder.tflite
Input size: 512.50KiB
Output model: encoder_edgetpu.tflite
Output size: 1.10MiB
On-chip memory used for caching model parameters: 438.25KiB
On-chip memory remaining for caching model parameters: 7.25MiB
Off-chip memory used for streaming uncached model parameters: 64.00B
Number of Edge TPU subgraphs: 1
Total number of operations: 9
Operation log: encoder_edgetpu.log

Model successfully compiled but not all operations are supported by the Edge TPU.
Number of operations that will run on Edge TPU: 6
Number of operations that will run on CPU: 3

Operator                       Count      Status

CONV_2D                        4          Mapped to Edge TPU
MUL                            2          Mapped to Edge TPU
BATCH_MATMUL                   1          Operation not supported
MUL                            1          More than one subgraph is not supported
SOFTMAX                        1          Operation is otherwise supported, but not mapped due to some unspecified limitation
Compilation child process completed within timeout period.
Compilation succeeded!
"""  # noqa: E501


def test_log_of_the_compiler():
    log = parse_compiler_log(LOG)
    assert log.version == "16.0.384591198"
    assert [(line.op, line.count) for line in log.ops] == [
        ("CONV_2D", 4), ("MUL", 2), ("BATCH_MATMUL", 1), ("MUL", 1), ("SOFTMAX", 1),
    ]  # fmt: skip
    assert log.ops[2].status == "Operation not supported"
    assert log.ops[4].status.endswith("due to some unspecified limitation")
    assert (log.mapped, log.is_whole, log.subgraphs) == (6, False, 1)
    assert (log.on_chip_used, log.on_chip_remaining, log.off_chip_used) == (448_768, 7_602_176, 64)
    summary = log.to_dict()
    assert summary["mapped"] == 6 and summary["ops"][0]["op"] == "CONV_2D"
    assert json.loads(json.dumps(summary))["source"] == "edgetpu_compiler"


def test_a_log_file_has_the_table_alone():
    log = parse_compiler_log("Operator   Count   Status\n\nADD   2   Mapped to Edge TPU\n")
    assert log.is_whole and log.mapped == 2
    assert (log.version, log.subgraphs, log.off_chip_used) == ("", None, None)


def test_a_log_without_a_table_is_an_error():
    with pytest.raises(ConversionError, match="--show_operations.*Received: 'Compilation failed!'"):
        parse_compiler_log("Edge TPU Compiler version 16.0.384591198\nCompilation failed!\n")


def make_compiler(folder, script):
    """A stand-in on the PATH: the compiler itself cannot be had here."""
    program = folder / "edgetpu_compiler"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


def test_no_compiler_is_no_error(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run_edgetpu_compiler(tmp_path / "encoder.tflite", tmp_path) is None


def test_the_compiler_is_run(tmp_path, monkeypatch):
    (tmp_path / "log").write_text(LOG)
    (tmp_path / "encoder.tflite").write_bytes(b"model")
    make_compiler(tmp_path, 'cp "$4" "$3/encoder_edgetpu.tflite"\necho "$@" > "$3/arguments"\ncat "$3/log"')
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    compilation = run_edgetpu_compiler(tmp_path / "encoder.tflite", tmp_path)
    assert compilation.flatbuffer == b"model"
    assert compilation.log == parse_compiler_log(LOG)
    assert (tmp_path / "arguments").read_text().split() == [
        "--show_operations", "--out_dir", str(tmp_path), str(tmp_path / "encoder.tflite"),
    ]  # fmt: skip


def test_a_refusal_says_what_the_compiler_said(tmp_path, monkeypatch):
    make_compiler(tmp_path, "echo 'Compilation failed due to large activation tensors in model.'\nexit 1")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(ConversionError, match="large activation tensors in model.*`sequence_length`"):
        run_edgetpu_compiler(tmp_path / "encoder.tflite", tmp_path)
