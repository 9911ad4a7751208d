"""demos/coral: the Raspberry Pi's script with `--accelerator edgetpu`, on the stand-in for libedgetpu."""

import json
import re
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[2] / "demos" / "coral"
ON_EDGETPU = ("--accelerator", "edgetpu", "--json")


def answers(output):
    return [(answer["label"], answer["score"]) for answer in map(json.loads, output.splitlines())]


def test_answers_are_those_of_the_encoder(classify, compiled, edgetpu, texts):
    spoken = [text for text in texts if text]
    arguments = [argument for text in spoken for argument in ("--text", text)]
    status, output, errors = classify("--model", compiled.path, *ON_EDGETPU, *arguments)
    assert status == 0
    expected = [compiled.answers[text] for text in spoken]
    assert answers(output) == [(label, probabilities[label]) for label, probabilities in expected]
    assert " on edgetpu, ai-edge-litert" in errors
    assert len(edgetpu.events("invoke")) > len(spoken)  # the golden cases too


def test_the_device_reaches_the_library(classify, compiled, edgetpu):
    assert classify("--model", compiled.path, *ON_EDGETPU, "--device", "usb:1")[0] == 0
    assert {detail for _, _, detail in edgetpu.events("create")} == {"device=usb:1"}


@pytest.mark.parametrize(
    ("mode", "reason"),
    [("no_device", "found no Edge TPU.*Plug it in.*plugdev"), ("crash_in_invoke", "ended the process that tried it")],
)
def test_an_edge_tpu_that_cannot_be_had(classify, compiled, edgetpu, texts, mode, reason):
    edgetpu.fail(mode)
    status, output, errors = classify("--model", compiled.path, *ON_EDGETPU, "--text", texts[0])
    assert (status, output) == (1, "")
    assert re.search(f"^error: .*{reason}", errors, re.MULTILINE)
    status, output, errors = classify("--model", compiled.path, *ON_EDGETPU, "--fallback", "--text", texts[0])
    assert (status, len(answers(output))) == (0, 1)
    assert " on cpu, ai-edge-litert" in errors
    assert re.search(f"^warning: the CPU stands in: .*{reason}", errors, re.MULTILINE)


def test_a_file_for_the_cpu_is_refused(classify, echo_path, edgetpu):
    status, _, errors = classify("--model", echo_path, *ON_EDGETPU, "--text", "hello")
    assert status == 1
    assert "error: " in errors
    assert "`target`='edgetpu'" in errors
    assert edgetpu.events() == []


def test_an_edge_tpu_that_fails_later(start, compiled, edgetpu, texts):
    """The stand-in answers with an error what is not in its table, as an unplugged device does all."""
    running = start("--model", compiled.path, *ON_EDGETPU)
    running.say(texts[0].encode())
    running.wait_for('"label"')
    running.say(b"turn the music off")
    status, output, errors = running.end()
    assert (status, len(answers(output))) == (1, 1)
    assert "error: " in errors
    assert "Traceback" not in errors


def test_conversions_of_the_page():
    """Options exist, and a scheme is one that an Edge TPU takes."""
    import click

    from edgedistil.cli import main

    text = (DEMO / "README.md").read_text().replace("\\\n", " ")
    [command] = re.findall(r"^edgedistil convert (.*)$", text, re.MULTILINE)
    known = {
        option for parameter in main.get_command(click.Context(main), "convert").params for option in parameter.opts
    }
    used = {word for word in command.split() if word.startswith("-")}
    assert used
    assert used <= known
    assert "--target edgetpu" in command
    assert re.search("--quantize int8-(static|qat)", command)
