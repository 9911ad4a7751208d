"""Instructions that LiteRT takes for a text on 64-bit ARM, counted under QEMU: files of two builds beside each other.

    make setup-arm
    python benchmarks/aarch64_instructions.py NOW.tflite --before BEFORE.tflite ../before/runtime [--text TEXT ...]

QEMU runs the program of another processor and counts no time, but it can write every block of instructions that it
translates, and every block that it executes. It does so here for the code of LiteRT's library only; Python, NumPy and
the C library are not counted. The program writes a mark into the same log before each run. *repeated* is a text after
itself, *changed* the same text after one that is longer by a word.

The processor is a Cortex-A76, that of a Raspberry Pi 5, which multiplies int8 by dot products. --before also takes the
runtime of that build, which encodes the text as it did. Prints a table, then one line of JSON.
"""

import argparse
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = "libpywrap_litert_common.so"  # has LiteRT and XNNPACK
MARK = "MARK"
CHILD = f"""
import os, sys
from ai_edge_litert.interpreter import Interpreter
from edgedistil_runtime.text_bytes import encode_text
if sys.argv[1]:
    run = Interpreter(model_path=sys.argv[1], num_threads=1).get_signature_runner("classify_text")
    for text in sys.argv[3:]:
        row = encode_text(text)
        os.write(int(sys.argv[2]), b"{MARK}\\n")
        run(text=row)
else:
    print(next(line for line in open("/proc/self/maps") if "{LIBRARY}" in line and " r-xp " in line))
"""
TEXTS = (
    "where is my new card",
    "I would like to know where my new card is now and why it takes you so long to send it to me",
)


class Arm:
    """Python for 64-bit ARM, run by QEMU, with the runtime of a checkout."""

    def __init__(self, python: Path, runtime: Path) -> None:
        self._command = ["setarch", "--addr-no-randomize", str(python), "-c", CHILD]
        self._variables = {**os.environ, "PYTHONPATH": str(runtime.resolve()), "PYTHONHASHSEED": "0"}
        shown = subprocess.run([*self._command, ""], env=self._variables, capture_output=True, text=True, check=True)
        first, end = re.findall(r"^([0-9a-f]+)-([0-9a-f]+)", shown.stdout)[0]
        self._code = f"0x{first}..0x{int(end, 16) - 1:x}"

    def count(self, model: Path, texts: Sequence[str]) -> list[int]:
        """Returns the instructions of LiteRT for each of some texts that a process classifies."""
        reader, writer = os.pipe()
        traced = {
            "QEMU_DFILTER": self._code,
            "QEMU_LOG": "in_asm,exec,nochain",
            "QEMU_LOG_FILENAME": f"/dev/fd/{writer}",
        }
        with tempfile.TemporaryFile() as messages:  # a pipe could fill up before the log has ended
            child = subprocess.Popen(
                [*self._command, str(model), str(writer), *texts],
                env=self._variables | traced,
                pass_fds=(writer,),
                stdout=subprocess.DEVNULL,
                stderr=messages,
            )
            os.close(writer)
            with os.fdopen(reader, "rb", buffering=1 << 20) as log:
                found = count_executed(log)
            if child.wait():
                messages.seek(0)
                errors = messages.read().decode(errors="replace")
                raise ChildProcessError(f"{model} under QEMU ended with {child.returncode}: {errors[-500:]}")
        return found[1:]  # loading comes first


def count_executed(log: Iterable[bytes]) -> list[int]:
    """Counts the instructions of the executed blocks in QEMU's log of what it translates and executes, by mark."""
    lengths: dict[bytes, int] = {}  # address of a block, 16 hexadecimal digits -> its instructions
    executed, block, mark = [0], b"", MARK.encode()
    for line in log:
        if line.startswith(b"Trace"):  # Trace 0: HOST [FLAGS/ADDRESS/FLAGS/FLAGS]
            executed[-1] += lengths[line.split(b"/", 2)[1]]
        elif line.startswith(b"0x"):  # 0xADDRESS:  CODE  INSTRUCTION
            if not block:
                block = line[2:].split(b":", 1)[0].rjust(16, b"0")
                lengths[block] = 0
            lengths[block] += 1
        elif line.startswith(b"IN:"):
            block = b""
        elif line.startswith(mark):
            executed.append(0)
    return executed


def main() -> None:
    """Counts and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("now", type=Path, help="a file of this checkout")
    parser.add_argument("--before", nargs=2, type=Path, metavar=("FILE", "RUNTIME"), help="a file, and its runtime")
    parser.add_argument("--text", action="append", help="a text; can be given several times")
    parser.add_argument("--python", type=Path, default=ROOT / "build" / "arm64" / "bin" / "python")
    options = parser.parse_args()
    builds = {"now": (options.now, Arm(options.python, ROOT / "runtime"))}
    if options.before:
        file, runtime = options.before
        builds = {"before": (file, Arm(options.python, runtime)), **builds}
    rows = []
    print("| characters | build | repeated, millions | ratio | changed, millions | ratio |\n|---|---|---|---|---|---|")
    for text in options.text or TEXTS:
        longer = f"{text} please"
        base: dict[str, float] = {}
        for name, (file, arm) in builds.items():
            _, repeated, _, changed = arm.count(file, [text, text, longer, text])
            counts = {"repeated": repeated, "changed": changed}
            base = base or counts
            rows.append({"file": str(file), "characters": len(text), "build": name, **counts})
            cells = [f"{count / 1e6:.2f} | {count / base[key]:.2f}" for key, count in counts.items()]
            print(f"| {len(text)} | {name} | {' | '.join(cells)} |", flush=True)
    print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main()
