"""Labels texts, and switches an LED or a relay by their labels: on a Raspberry Pi, with or without a Coral.

    python classify.py --model smart_home.tflite --text "turn on the light in the kitchen"
    python classify.py --model smart_home.tflite --pins light_on=17:on,light_off=17:off,door_unlock=27:3

The second command reads a text a line until its input ends. The model takes a text as it is, so no line here prepares
one. All that this needs is `edgedistil-runtime`, and gpiozero where there are pins.
"""

from __future__ import annotations

import argparse
import atexit
import json
import re
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from edgedistil_runtime import EdgeDistilError, TextClassifier
from edgedistil_runtime.native_log import native_log_hidden

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # Ctrl-C, systemd, a terminal that was closed


class Output(NamedTuple):
    """What one label does with one pin: `lit`, `on`, `off`, or the seconds of a pulse; see `--pins`."""

    label: str
    pin: int
    action: str | float


class Pins:
    """The pins that labels switch: off at first, and switched off again at the end, whatever ends the program."""

    def __init__(self, outputs: Sequence[Output], labels: Sequence[str], *, is_active_low: bool = False) -> None:
        unknown = sorted({output.label for output in outputs}.difference(labels))
        if unknown:
            raise EdgeDistilError(f"--pins takes labels of the model: {', '.join(labels)}. Received: {unknown}.")
        self._outputs = outputs
        self._devices = _devices({output.pin for output in outputs}, is_active_low) if outputs else {}
        self._pulse_ends: dict[int, float] = {}  # pin -> when
        atexit.register(self.switch_off)  # a `with` is left too early by a signal that arrives at its end

    def show(self, label: str | None) -> list[int]:
        """Switches what a label switches, None for an answer that is not sure; returns the pins that are on then."""
        for output in sorted(self._outputs, key=lambda output: output.label == label):  # its own pins come last
            device = self._devices[output.pin]
            if output.label == label and output.action != "off":
                device.on()
                seconds = output.action if isinstance(output.action, float) else 0.0
                if seconds:
                    device.blink(on_time=seconds, off_time=0, n=1)  # in a thread of gpiozero's
                self._pulse_ends[output.pin] = time.monotonic() + seconds
            elif output.label == label or output.action == "lit":
                device.off()
                self._pulse_ends.pop(output.pin, None)
        return sorted(pin for pin, device in self._devices.items() if device.value)

    def wait_for_pulses(self) -> None:
        """Returns when the last pulse has ended."""
        time.sleep(max(0.0, max(self._pulse_ends.values(), default=0.0) - time.monotonic()))

    def switch_off(self) -> None:
        """Switches all pins off and gives them back."""
        for device in self._devices.values():
            device.off()
            device.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Labels texts until they or the process end; returns the exit status."""
    options = make_parser().parse_args(arguments)
    for number in ENDINGS:
        signal.signal(number, end)
    sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    try:
        run(options)
    except EdgeDistilError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finally:
        ignore_signals()
    return 0


def end(*_: object) -> None:
    """Ends the program from wherever it is, with status 0."""
    ignore_signals()
    raise SystemExit(0)


def ignore_signals() -> None:
    """From now on none disturbs the switching off."""
    for number in ENDINGS:
        signal.signal(number, signal.SIG_IGN)


def run(options: argparse.Namespace) -> None:
    """Loads the model, claims the pins, and prints a line for each text as soon as it is labelled.

    Raises:
        EdgeDistilError: the model or the pins cannot be had, or the model fails.
    """
    with native_log_hidden():
        classifier = TextClassifier(
            options.model, options.accelerator, device=options.device, fallback=options.fallback
        )
    with classifier:
        pins = Pins(options.pins, classifier.labels, is_active_low=options.active_low)
        info = classifier.runtime_info
        print(f"{classifier.metadata.name} on {info.accelerator}, {info.backend} {info.version}", file=sys.stderr)
        if info.fallback_reason:
            print(f"warning: the CPU stands in: {info.fallback_reason}", file=sys.stderr)
        for text in options.text or lines_of_input():
            answer = classifier.classify(text)
            pins_on = pins.show(answer.label if answer.score >= options.min_score else None)
            if options.json:
                print(json.dumps({"text": text, "label": answer.label, "score": answer.score, "pins_on": pins_on}))
            else:
                print(f"{answer.label}\t{answer.score:.4f}")
        pins.wait_for_pulses()


def lines_of_input() -> Iterator[str]:
    """The lines of standard input that are not empty."""
    for line in sys.stdin.buffer:  # not text mode: its encoding is the locale's, the model's is UTF-8
        if line.strip():
            yield line.decode("utf-8", "replace").rstrip("\r\n")


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description="Label texts, and switch pins by their labels.")
    parser.add_argument("--model", required=True, metavar="FILE", help="the .tflite file")
    parser.add_argument("--text", action="append", help="a text; may be repeated (default: lines of standard input)")
    parser.add_argument("--json", action="store_true", help="print one JSON object a text")
    parser.add_argument("--accelerator", default="cpu", help="cpu, edgetpu, coralboard or gpu (default: cpu)")
    parser.add_argument("--device", help="which Edge TPU: usb, pci, or one of several, as in usb:1; coralboard: sim")
    parser.add_argument("--fallback", action="store_true", help="use the CPU where the accelerator cannot be had")
    actions = "LABEL=PIN: on until the next text; =PIN:on, =PIN:off: from then on; =PIN:SECONDS: a pulse"
    parser.add_argument("--pins", type=parse_outputs, default=[], help=f"GPIO numbers, with commas between: {actions}")
    parser.add_argument("--active-low", action="store_true", help="pins are on when low, as on many relay boards")
    parser.add_argument("--min-score", type=float, default=0.5, help="for pins to switch (default: %(default)s)")
    return parser


def parse_outputs(literal: str) -> list[Output]:
    """`light_on=17:on,door_unlock=27:3`, as argparse reads it."""
    outputs = []
    for part in literal.split(","):
        match = re.fullmatch(r"(.+)=(\d+)(?::(?:(on|off)|(\d+(?:\.\d+)?)))?", part.strip())
        if match is None:
            forms = "LABEL=PIN, LABEL=PIN:on, LABEL=PIN:off or LABEL=PIN:SECONDS, with commas between them"
            raise argparse.ArgumentTypeError(f"must be {forms}. Received: {part!r}")
        label, pin, state, seconds = match.groups()
        outputs.append(Output(label, int(pin), float(seconds) if seconds else state or "lit"))
    return outputs


def _devices(numbers: Iterable[int], is_active_low: bool) -> dict[int, Any]:
    try:
        from gpiozero import DigitalOutputDevice, GPIOZeroError
    except ImportError as error:
        raise EdgeDistilError(
            "--pins needs the package gpiozero, which this Python has not. On Raspberry Pi OS run `sudo apt install "
            "python3-gpiozero python3-lgpio` and make the environment with `python3 -m venv --system-site-packages`."
        ) from error
    try:
        return {number: DigitalOutputDevice(number, active_high=not is_active_low) for number in sorted(numbers)}
    except GPIOZeroError as error:
        raise EdgeDistilError(f"gpiozero cannot have the pins {sorted(numbers)}: {error}.") from error


if __name__ == "__main__":
    sys.exit(main())
