"""demos/raspberry_pi: the script as people and systemd run it, with mock pins, and the files beside it."""

import ast
import configparser
import importlib.util
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[2] / "demos" / "raspberry_pi"
SCRIPT = DEMO / "classify.py"
LOW, HIGH, UNSURE = "日本日本日本日本", "!", "hello"  # low 0.8, hög 0.6 and low 0.4 in the echo model
LONG = 100  # seconds of a pulse whose end no test awaits; longer than any test waits
needs_pins = pytest.mark.skipif(importlib.util.find_spec("gpiozero") is None, reason="gpiozero is not installed")


def read_unit(path):
    unit = configparser.ConfigParser(strict=False, interpolation=None, delimiters="=", comment_prefixes="#")
    unit.optionxform = str
    unit.read_string(path.read_text())
    return unit


def test_a_line_for_each_text(classify, echo_path, echo):
    status, output, errors = classify("--model", echo_path, "--text", HIGH, "--text", LOW)
    assert status == 0
    assert output == "".join(
        f"{label}\t{max(echo.probabilities(text)):.4f}\n" for label, text in (("hög", HIGH), ("low", LOW))
    )
    assert re.fullmatch(r"echo on cpu, (ai-edge-litert|tflite-runtime) \S+\n", errors)


def test_lines_of_standard_input(classify, echo_path):
    lines = f"{LOW}\r\n\n \n  two  words\n".encode() + b"\xff!"
    status, output, _ = classify("--model", echo_path, "--json", lines=lines)
    answers = [json.loads(line) for line in output.splitlines()]
    assert status == 0
    assert [answer["text"] for answer in answers] == [LOW, "  two  words", "\ufffd!"]
    assert list(answers[0]) == ["text", "label", "score", "pins_on"]
    assert (answers[0]["label"], answers[0]["pins_on"]) == ("low", [])


def test_no_input(classify, echo_path):
    assert classify("--model", echo_path)[:2] == (0, "")


def test_an_answer_comes_before_the_next_line(start, echo_path):
    running = start("--model", echo_path)
    for text, label in ((LOW, "low"), (HIGH, "hög")):
        running.say(text.encode())
        running.wait_for(f"{label}\t0")
    assert running.end()[0] == 0


def test_a_terminal_without_the_letters_of_a_label(start, echo_path, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    assert start("--model", echo_path, "--text", HIGH).end()[1].startswith("h\\xf6g\t")


def test_a_model_that_is_refused(classify, echo_path, tmp_path):
    damaged = tmp_path / "damaged.tflite"
    damaged.write_bytes(echo_path.read_bytes()[:-100])
    for model in (damaged, tmp_path / "none.tflite"):
        status, output, errors = classify("--model", model, "--text", "hello")
        assert (status, output) == (1, "")
        assert errors.startswith("error: ")
        assert "Traceback" not in errors


@pytest.mark.parametrize("pins", ["", "low", "low=", "low=x", "low=17:up", "low=17,", "=17", "low=17:-1"])
def test_malformed_pins(script, pins, capsys):
    with pytest.raises(SystemExit) as caught:
        script.main(["--model", "model.tflite", "--pins", pins])
    assert caught.value.code == 2
    assert "LABEL=PIN:SECONDS, with commas between them. Received: " in capsys.readouterr().err


def test_what_pins_say(script):
    parsed = script.parse_outputs("a=17, a=4:on,b=17:off,x=y=22:0.5")
    assert parsed == [("a", 17, "lit"), ("a", 4, "on"), ("b", 17, "off"), ("x=y", 22, 0.5)]


def test_pins_of_labels_that_the_model_has_not(classify, echo_path):
    status, _, errors = classify("--model", echo_path, "--pins", "low=17,lights=27", "--text", "hello")
    assert status == 1
    assert "--pins takes labels of the model: low, middle, hög. Received: ['lights']." in errors


def test_gpiozero_is_missing(echo_path):
    hidden = f"import runpy, sys; sys.modules['gpiozero'] = None; runpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
    command = [sys.executable, "-c", hidden, "--model", str(echo_path), "--text", "hello"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0  # without pins nothing needs it
    done = subprocess.run([*command, "--pins", "low=17"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.search("needs the package gpiozero.*apt install python3-gpiozero.*--system-site-packages", done.stderr)


@needs_pins
def test_pins_that_do_not_exist(classify, echo_path):
    status, _, errors = classify("--model", echo_path, "--pins", "low=17,hög=99", "--text", "hello")
    assert status == 1
    assert re.search(r"error: gpiozero cannot have the pins \[17, 99\]: .*99", errors)


@needs_pins
@pytest.mark.parametrize(
    ("pins", "spoken", "due"),
    [
        ("low=17,hög=27", [LOW, HIGH, LOW, UNSURE], [[17], [27], [17], []]),
        ("low=17:on,hög=17:off", [LOW, UNSURE, HIGH, LOW], [[17], [17], [], [17]]),
        ("low=17,low=4:on,hög=17", [LOW, HIGH], [[4, 17], [4, 17]]),
        (f"low=17:{LONG},hög=17:off", [LOW, LOW, HIGH], [[17], [17], []]),
        ("middle=17", [LOW, HIGH], [[], []]),
    ],
    ids=["lit", "on_off", "several", "pulse", "none"],
)
def test_pins(classify, echo_path, pins, spoken, due):
    lines = "\n".join(spoken).encode()
    status, output, _ = classify("--model", echo_path, "--json", "--pins", pins, lines=lines)
    assert status == 0
    assert [json.loads(line)["pins_on"] for line in output.splitlines()] == due


@needs_pins
def test_the_score_from_which_pins_switch(classify, echo_path):
    for least, due in (("0.3", [17]), ("0.9", [])):
        chosen = ("--pins", "low=17", "--min-score", least, "--text", UNSURE)
        assert json.loads(classify("--model", echo_path, "--json", *chosen)[1])["pins_on"] == due


@needs_pins
def test_a_pulse_ends_by_itself_and_before_the_program(classify, echo_path):
    status, _, errors = classify("--model", echo_path, "--pins", "low=17:0.2", "--text", LOW, is_watched=True)
    assert status == 0
    assert re.findall("GPIO.*", errors) == ["GPIO17 1", "GPIO17 0"]


@needs_pins
def test_pins_that_are_on_when_low(classify, echo_path):
    chosen = ("--pins", "low=17:on,hög=17:off", "--active-low", "--json")
    _, output, errors = classify("--model", echo_path, *chosen, "--text", LOW, "--text", HIGH, is_watched=True)
    assert [json.loads(line)["pins_on"] for line in output.splitlines()] == [[17], []]
    assert re.findall("GPIO.*", errors)[:3] == ["GPIO17 1", "GPIO17 0", "GPIO17 1"]  # off, on, off


@needs_pins
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_switch_pins_off(start, echo_path, number):
    running = start("--model", echo_path, "--pins", f"low=17:on,low=27:{LONG},low=22", is_watched=True)
    running.say(LOW.encode())
    running.wait_for("low\t")
    status, _, errors = running.end(number)
    assert status == 0
    changes = re.findall("GPIO.*", errors)
    assert {pin: [line[-1] for line in changes if line.startswith(pin)] for pin in ("GPIO17", "GPIO27", "GPIO22")} == {
        "GPIO17": ["1", "0"],
        "GPIO27": ["1", "0"],
        "GPIO22": ["1", "0"],
    }
    assert "Traceback" not in errors


@needs_pins
def test_a_signal_ends_the_wait_for_a_pulse(start, echo_path):
    running = start("--model", echo_path, "--pins", f"low=17:{LONG}", "--text", LOW, is_watched=True)
    running.wait_for("low\t")
    status, _, errors = running.end(signal.SIGTERM)
    assert (status, re.findall("GPIO.*", errors)) == (0, ["GPIO17 1", "GPIO17 0"])


def test_a_signal_ends_the_wait_for_a_line(start, echo_path):
    running = start("--model", echo_path)
    running.wait_for("echo on cpu", stream=2)
    assert running.end(signal.SIGTERM)[:2] == (0, "")


def test_a_pipe_as_systemd_opens_it(start, echo_path, tmp_path):
    """Open for reading and writing: writers come and go, and the input has no end."""
    path = tmp_path / "texts"
    os.mkfifo(path)
    pipe = os.open(path, os.O_RDWR)
    try:
        path.write_text(f"{HIGH}\n")  # before the program is there
        running = start("--model", echo_path, stdin=pipe)
        running.wait_for("hög\t")
        path.write_text(f"{LOW}\n")
        running.wait_for("low\t")
        assert running.end(signal.SIGTERM)[0] == 0
    finally:
        os.close(pipe)


@pytest.mark.parametrize("is_with_coral", [False, True])
def test_systemd_takes_the_units(tmp_path, is_with_coral):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not on the PATH")
    units = [tmp_path / name for name in ("edgedistil-classify.service", "edgedistil-classify.socket")]
    for unit in units:
        content = (DEMO / unit.name).read_text()
        unit.write_text(content.replace("/opt/edgedistil/venv/bin/python", sys.executable))
    if is_with_coral:
        (tmp_path / f"{units[0].name}.d").mkdir()
        shutil.copy(DEMO.parent / "coral" / "coral.conf", tmp_path / f"{units[0].name}.d")
    verify = ["systemd-analyze", "verify", "--man=no", *map(str, units)]
    done = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")  # an unknown key is a warning alone


def test_what_the_service_starts(script):
    unit = read_unit(DEMO / "edgedistil-classify.service")
    service = unit["Service"]
    python, program, *arguments = shlex.split(service["ExecStart"])
    assert (Path(python).name, Path(program).name) == ("python", SCRIPT.name)
    assert arguments.pop() == "$CLASSIFY_OPTIONS"
    [example] = re.findall("CLASSIFY_OPTIONS=(-.*)", (DEMO / "edgedistil-classify.service").read_text())
    options = script.make_parser().parse_args([*arguments, *example.split()])
    assert (options.text, len(options.pins)) == (None, 2)
    assert (service["StandardInput"], service["Restart"]) == ("socket", "on-failure")
    assert service["WorkingDirectory"] == f"%t/{service['RuntimeDirectory']}"  # lgpio must write where it is started
    socket = read_unit(DEMO / "edgedistil-classify.socket")["Socket"]
    assert not socket["ListenFIFO"].startswith(f"/run/{service['RuntimeDirectory']}/")  # which ends with the service
    assert socket["ListenFIFO"] in (DEMO / "README.md").read_text()


@pytest.mark.parametrize("page", ["raspberry_pi", "coral"])
def test_commands_of_the_pages(script, page):
    text = (DEMO.parent / page / "README.md").read_text()
    commands = re.findall(r"classify\.py (--.*?)(?: [<|>#].*)?$", text.replace("\\\n", " "), re.MULTILINE)
    assert len(commands) >= 2
    for command in commands:
        assert script.make_parser().parse_args(shlex.split(command)).model.endswith(".tflite")


def test_the_script_needs_the_runtime_and_gpiozero_alone():
    tree = ast.parse(SCRIPT.read_text(), feature_version=(3, 9))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    foreign = {name.partition(".")[0] for name in names} - sys.stdlib_module_names
    assert foreign == {"edgedistil_runtime", "gpiozero"}
