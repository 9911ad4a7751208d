"""Reads the profile that torq-compile writes: cycles by its own model of the chip, and what leaves the NPU.

The profile is a CSV of the option `--torq-dump-profiling`. Its header says microseconds; the numbers are cycles: a
program on the CSS, the chip's small RISC-V core, counts 8000, and the compiler's source (ProfilingPass.cpp)
calls that 10 us at 800 MHz. It is an estimate: no board was measured.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from edgedistil_runtime.errors import ConversionError

__all__ = ["CYCLES_PER_MILLISECOND", "TorqReport", "read_torq_report"]

CYCLES_PER_MILLISECOND = 800_000  # at 800 MHz
_CSS, _ELAPSED, _TIMESTAMP, _EVENT, _LOCATION = "CSS", "elapsed_time(us)", "timestamp(us)", "event", "location"
_LINE = re.compile(r'loc\((?:callsite\()?"[^"]*":(\d+)')
_OP = re.compile(r"tosa\.(\w+) .*: \(([^)]*)\) -> tensor<([^>]*)>")
_OPERAND = re.compile(r"tensor<([^>]*)>")
# Ops that move or name values and compute none.
_NOT_COUNTED = frozenset(("const", "const_shape", "reshape", "identity"))


@dataclass(frozen=True)
class TorqReport:
    """A compiled encoder in numbers.

    Attributes:
        ops: Number of TOSA ops that compute.
        cycles: Cycles of one text, by the compiler's model.
        busy: Engine of the chip -> the cycles that it works; engines work at the same time.
        css_ops: Op that runs on the CSS, with its types -> number of programs for it.

    Example:
        >>> report = TorqReport(324, 1_880_000, {"DMA In": 900_000}, {"mul i32[1,1,48,128]": 2})
        >>> round(report.milliseconds, 2), report.to_dict()["reasons"]
        (2.35, {'mul i32[1,1,48,128]: on the CSS, the small core of the chip': 2})
    """

    ops: int
    cycles: int
    busy: Mapping[str, int]
    css_ops: Mapping[str, int]

    @property
    def milliseconds(self) -> float:
        """Estimated time of one text."""
        return self.cycles / CYCLES_PER_MILLISECOND

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data for metadata."""
        return {
            "mapped": self.ops - len(self.css_ops),
            "on_cpu": 0,  # --torq-disable-host
            "on_css": len(self.css_ops),
            "reasons": {f"{op}: on the CSS, the small core of the chip": count for op, count in self.css_ops.items()},
            "cycles": self.cycles,
            "estimated_milliseconds": round(self.milliseconds, 3),
            "busy": dict(self.busy),
        }


def read_torq_report(tosa: str, profile: Iterable[str]) -> TorqReport:
    """Read a profile.

    Args:
        tosa: The TOSA module that was compiled, as text.
        profile: Lines of the CSV.

    Raises:
        ConversionError: The profile has no rows, or other columns.

    Example:
        >>> header = "taskId, elapsed_time(us), timestamp(us), event, location, bytes"
        >>> read_torq_report("", [header, '0,135,10,DMA In,loc("encoder.mlir":2:3),640']).cycles
        145
    """
    rows = list(csv.DictReader(profile, skipinitialspace=True, quoting=csv.QUOTE_NONE))
    wanted = {_ELAPSED, _TIMESTAMP, _EVENT, _LOCATION}
    if not rows or not wanted <= rows[0].keys():
        received = sorted(map(str, rows[0])) if rows else "no rows"
        raise ConversionError(
            f"A profile of torq-compile has rows with {sorted(wanted)}. Received: {received}. Use "
            "the versions that `make setup-torq` installs."
        )
    lines = tosa.splitlines()
    busy: Counter[str] = Counter()
    css: Counter[str] = Counter()
    for row in rows:
        busy[row[_EVENT]] += int(row[_ELAPSED])
        if row[_EVENT] == _CSS:
            css[_op_at(lines, row[_LOCATION])] += 1
    cycles = max(int(row[_TIMESTAMP]) + int(row[_ELAPSED]) for row in rows)
    return TorqReport(_count_ops(lines), cycles, dict(busy), dict(css))


def _count_ops(lines: Iterable[str]) -> int:
    found = (re.search(r"= tosa\.(\w+)", line) for line in lines)
    return sum(match is not None and match.group(1) not in _NOT_COUNTED for match in found)


def _op_at(lines: list[str], location: str) -> str:
    """Name and line of the op at a location: `mul i32[1,48,48,4] x i32[1,48,1,4] (line 310)`."""
    match = _LINE.search(location)
    number = int(match.group(1)) if match else 0
    line = lines[number - 1] if 0 < number <= len(lines) else ""
    op = _OP.search(line)
    if op is None:
        return f"unknown op (line {number})"
    operands = [found for found in _OPERAND.findall(op.group(2)) if found.count("x") > 1]
    return f"{op.group(1)} {' x '.join(map(_readable, operands))} (line {number})"


def _readable(shape: str) -> str:
    *sizes, dtype = shape.split("x")
    return f"{dtype}[{','.join(sizes)}]"
