"""The command line of the runtime over a real interpreter and a real model (data/echo.tflite)."""

import io
import json
import os
import re
import subprocess
import sys
import types

import pytest

from edgedistil_runtime.cli import main
from edgedistil_runtime.cli.flags import FLAGS, with_flags


def test_label_and_score(echo_path, echo, capsys):
    assert main(["classify", str(echo_path), "hello", "zzz"]) == 0
    scores = [max(echo.probabilities(text)) for text in ("hello", "zzz")]
    assert capsys.readouterr().out == "".join(f"low\t{score:.4f}\n" for score in scores)


def test_top(echo_path, capsys):
    assert main(["classify", str(echo_path), "hello", "--top", "3"]) == 0
    assert capsys.readouterr().out.split("\t")[::2] == ["low", "middle", "hög"]


def test_json_and_standard_input(echo_path, capsys, monkeypatch):
    lines = io.BytesIO("日本\r\n\nhello".encode() + b"\xff")
    monkeypatch.setattr("sys.stdin", types.SimpleNamespace(buffer=lines))
    assert main(["classify", str(echo_path), "--json", "first", "-"]) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [answer["text"] for answer in answers] == ["first", "日本", "", "hello\ufffd"]
    assert list(answers[0]) == ["text", "label", "score", "probabilities", "is_truncated"]
    assert list(answers[0]["probabilities"]) == ["low", "middle", "hög"]


def test_long_texts(echo_path, capsys):
    for way, is_truncated in (("cut", True), ("head-tail", True), ("windows", False)):
        assert main(["classify", str(echo_path), "--json", "--long-texts", way, "zz and " * 40 + "! " * 90]) == 0
        assert json.loads(capsys.readouterr().out)["is_truncated"] is is_truncated
    with pytest.raises(SystemExit):
        main(["classify", str(echo_path), "x", "--long-texts", "middle"])


def test_info(echo_path, capsys):
    assert main(["info", str(echo_path)]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^labels +3: low, middle, hög$", printed, re.MULTILINE)
    assert re.search(r"^scheme +int8$", printed, re.MULTILINE)
    assert re.search(r"^  kind +builtin$", printed, re.MULTILINE)
    assert re.search(r"^  backend +(ai-edge-litert|tflite-runtime)", printed, re.MULTILINE)


def test_benchmark(echo_path, tmp_path, capsys):
    texts = tmp_path / "texts.txt"
    texts.write_text("\ufeffhello\n\nzz and zz\r\n日本\n", encoding="utf-8")
    options = ["--texts", str(texts), "--runs", "1"]
    assert main(["benchmark", str(echo_path), str(echo_path), *options]) == 0
    head, first, second, *circumstances = capsys.readouterr().out.splitlines()
    assert re.split("  +", head)[:3] == ["model", "MB", "p50 ms"]
    assert "model.tflite (1)" in first
    assert re.search(r"model.tflite \(2\)  \d+\.\d\d  +[\d.e-]+  ", second)
    assert circumstances[0].startswith("3 texts of texts.txt, 2 to 9 characters")
    assert main(["benchmark", str(echo_path), "--runs", "1", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["texts"]["source"] is None
    assert document["models"][0]["size"] == echo_path.stat().st_size


@pytest.mark.parametrize(("content", "message"), [(None, "can be read. Received:"), ("\n \n", "has none")])
def test_benchmark_of_no_texts(content, message, echo_path, tmp_path, capsys):
    texts = tmp_path / "texts.txt"
    if content is not None:
        texts.write_text(content, encoding="utf-8")
    assert main(["benchmark", str(echo_path), "--texts", str(texts)]) == 1
    printed = capsys.readouterr().err
    assert message in printed
    assert "leave --texts out to time built-in texts" in printed


def test_info_as_json(echo_path, capsys):
    assert main(["info", str(echo_path), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["size"] == echo_path.stat().st_size
    assert document["labels"] == ["low", "middle", "hög"]
    assert document["tokenizer"] == {"kind": "builtin", "sequence_length": 128, "vocabulary_size": 256}
    assert document["runtime"]["golden_cases"] == 4


@pytest.mark.parametrize("command", [["classify", "MODEL", "hello"], ["info", "MODEL"]])
def test_error(command, tmp_path, capsys):
    assert main([str(tmp_path / "none.tflite") if word == "MODEL" else word for word in command]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: The model file cannot be opened")


def test_errors_show_flags(echo_path, capsys):
    assert main(["info", str(echo_path), "--accelerator", "gpu"]) == 1
    printed = capsys.readouterr().err
    assert "Convert again with --target='gpu', or use --accelerator='cpu'" in printed
    assert main(["info", str(echo_path), "--device", "usb"]) == 1
    assert "--device chooses" in capsys.readouterr().err


def test_only_known_parameters_become_flags():
    assert with_flags("`max_texts`, `port`=0, `builtin`, port") == "--max-texts, --port=0, `builtin`, port"


def test_every_flag_is_an_option(capsys):
    of_another_program = {"fixed_lengths", "target", "tokenizer", "takes_text_pair"}  # `edgedistil convert`
    for command in ("classify", "serve"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
    options = set(re.findall("--[a-z-]+", capsys.readouterr().out))
    assert {flag for name, flag in FLAGS.items() if name not in of_another_program} <= options


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["model.tflite", "text"],
        ["classify", "model.tflite"],
        ["classify", "m", "t", "--top", "0"],
        ["classify", "m", "t", "--top", "x"],
        ["info"],
        ["serve", "m", "--port", "65536"],
        ["serve", "m", "--max-texts", "0"],
        ["serve", "m", "--answer-seconds", "nan"],
    ],
)
def test_usage(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: edgedistil-runtime" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["serve", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments):
    code = (
        "import sys\nfrom edgedistil_runtime.cli import main\ntry:\n    main(sys.argv[1:])\n"
        "finally:\n    print(sorted({'numpy', 'starlette', 'asyncio'} & set(sys.modules)))"
    )
    finished = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert finished.stdout.splitlines()[-1] == "[]"


def test_missing_extra(echo_path, capsys, monkeypatch):
    monkeypatch.setattr("edgedistil_runtime.cli.serve._NEEDED", ("json", "edgedistil_no_such_package"))
    assert main(["serve", str(echo_path)]) == 1
    printed = capsys.readouterr().err
    assert "not installed: edgedistil_no_such_package." in printed
    assert "pip install './runtime[serve]'" in printed


def test_as_a_module_in_a_poor_locale(echo_path):
    command = [sys.executable, "-m", "edgedistil_runtime", "classify", str(echo_path), "x", "--top", "3"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    finished = subprocess.run(command, capture_output=True, env=environment, check=True)
    assert b"h\\xf6g\t" in finished.stdout
