"""Compares an encoder for a Coralboard in the vendor's simulator with LiteRT's kernels.

torq-compile was seen to compile encoders whose simulated answers are wrong by up to 0.9, without an error. So a file
is written only if the simulator answers the golden cases as the flatbuffer does.

How near that must be depends on the text. LiteRT has three sets of int8 kernels that round differently. On texts like
those that a classifier was trained on, they are within a few steps of each other; on others, a step before a layer norm
can become thirty after it. The simulator rounds in a fourth way, so it may be further from LiteRT where LiteRT's own
kernels are far apart, and nowhere else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from edgedistil_converters.targets.parts import padded_row
from edgedistil_converters.targets.torq_tools import TorqTools, find_torq_tools, simulate
from edgedistil_runtime.artifact import Artifact, CompiledTensor, GoldenCase, read_artifact
from edgedistil_runtime.backends.choice import default_backend
from edgedistil_runtime.contract import EMBED, TOKEN_IDS, VMFB_MEMBER
from edgedistil_runtime.decision import Decision
from edgedistil_runtime.errors import ParityError

__all__ = [
    "LARGEST_TOLERANCE",
    "SIMULATED_CASES",
    "SIMULATION_TOLERANCE",
    "SimulatedText",
    "check_simulation",
    "simulate_texts",
]

# Every golden case: a defect of the compiler was seen on 17 of 60 texts, and not on the three that were tried first. A
# text of 2 layers, width 128 and 48 tokens takes 3 s on a quiet core.
SIMULATED_CASES = 8
_STEP = 1 / 256  # of a probability in int8
# Of a text on which LiteRT's kernels agree. When this was built, the simulator was within 13 steps of LiteRT's
# reference kernels on 60 texts of the bundled preset, and LiteRT's own XNNPACK kernels were within 14.
SIMULATION_TOLERANCE = 16 * _STEP
# Of any text. A wrong program was seen to be off by 0.9 and 0.59.
LARGEST_TOLERANCE = 64 * _STEP
# No further from the nearest set of kernels than these are from each other, so twice that from any of them.
_SPREADS = 2
_KERNELS = (
    OpResolverType.BUILTIN_REF,
    OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    OpResolverType.AUTO,  # XNNPACK
)

_Row = NDArray[np.float64]


@dataclass(frozen=True)
class SimulatedText:
    """Probabilities of one text.

    Attributes:
        simulated: Those of the simulator.
        kernels: Those of LiteRT's sets of kernels; the reference kernels are first.

    Example:
        >>> text = SimulatedText(np.array([0.5, 0.5]), (np.array([0.6, 0.4]), np.array([0.75, 0.25])))
        >>> round(text.difference, 2), round(text.spread, 2), text.tolerance
        (0.1, 0.15, 0.25)
    """

    simulated: _Row
    kernels: tuple[_Row, ...]

    @property
    def expected(self) -> _Row:
        """Probabilities of LiteRT's reference kernels."""
        return self.kernels[0]

    @property
    def difference(self) -> float:
        """Largest difference of a probability between the simulator and LiteRT's reference kernels."""
        return float(np.abs(self.simulated - self.expected).max())

    @property
    def spread(self) -> float:
        """Largest difference of a probability between two of LiteRT's sets of kernels."""
        return float(np.ptp(np.stack(self.kernels), axis=0).max())

    @property
    def tolerance(self) -> float:
        """Largest difference that is allowed."""
        return min(max(SIMULATION_TOLERANCE, _SPREADS * self.spread), LARGEST_TOLERANCE)

    def has_label(self, decision: Decision) -> bool:
        """Return True if the simulator gives the labels of LiteRT's reference kernels."""
        return decision.is_same(self.expected, self.simulated)

    def is_allowed(self, decision: Decision) -> bool:
        """Return True if the simulator is near enough.

        Other labels are allowed only where LiteRT's own kernels are further apart than the labels are.
        """
        if not self.difference <= self.tolerance:  # nan is not
            return False
        if self.has_label(decision):
            return True
        undecided_by = min(self.spread, LARGEST_TOLERANCE)
        if decision.is_multi_label:
            return decision.is_close_call(self.expected, self.simulated, undecided_by)
        return decision.margin(self.expected, self.simulated) < undecided_by


def check_simulation(path: Path, cases: Sequence[GoldenCase]) -> dict[str, Any]:
    """Simulates golden cases of a file for a Coralboard.

    Args:
        path: The file.
        cases: The golden cases; the first `SIMULATED_CASES` are taken.

    Returns:
        The result, as plain data for metadata.

    Raises:
        ParityError: A probability differs by more than the text's tolerance, or a label that LiteRT's kernels agree on.
        ConversionError: The simulator is missing or refuses the encoder.
    """
    artifact = read_artifact(path)
    rows = [case.token_ids for case in cases[:SIMULATED_CASES]]
    found = simulate_texts(artifact, rows, find_torq_tools())
    decision = artifact.metadata.decision
    same = [text.has_label(decision) for text in found]
    if not all(text.is_allowed(decision) for text in found):
        worst = max(range(len(found)), key=lambda number: _excess(found[number], decision))
        raise ParityError(_refusal(cases[worst].text, found[worst], f"{same.count(False)} of {len(same)}"))
    return {
        "texts": len(found),
        "largest_difference": max(text.difference for text in found),
        "tolerance": SIMULATION_TOLERANCE,
        "beyond_tolerance": sum(text.difference > SIMULATION_TOLERANCE for text in found),
        "largest_spread_of_kernels": max(text.spread for text in found),
        "label_agreement": same.count(True) / len(same),
    }


def _excess(text: SimulatedText, decision: Decision) -> tuple[bool, float]:
    """Orders texts by how far they are from what is allowed."""
    return not text.is_allowed(decision), text.difference / text.tolerance


def _refusal(name: str, text: SimulatedText, other_labels: str) -> str:
    return (
        f"The compiled encoder computes something else than the one that was compiled: in the vendor's simulator "
        f"a probability of {name!r} differs by {text.difference:.3g} from LiteRT's reference kernels, at most "
        f"{text.tolerance:.3g} is allowed where LiteRT's own kernels differ by {text.spread:.3g}, and {other_labels} "
        "texts have another label. This is a defect of the compiler or the simulator, not of the classifier. Use the "
        "target cpu (`target`), or another version of torq-compiler."
    )


def simulate_texts(artifact: Artifact, rows: Sequence[Sequence[int]], tools: TorqTools) -> list[SimulatedText]:
    """Returns the probabilities of each row of token ids, by the simulator and by LiteRT.

    Args:
        artifact: A file for a Coralboard.
        rows: Token ids without padding.
        tools: The programs.

    Raises:
        ConversionError: The simulator refuses the encoder.
    """
    part, encoder = artifact.metadata.encoder, artifact.encoder()
    assert part is not None
    assert encoder.compiled is not None
    *inputs, output = part.tensors
    interpreters = [_interpreter(encoder.model, kernels) for kernels in _KERNELS]
    host = default_backend(artifact.model)
    found = []
    with TemporaryDirectory(prefix="edgedistil-") as folder:
        module = Path(folder, VMFB_MEMBER)
        module.write_bytes(encoder.compiled)
        try:
            for row in rows:
                padded = padded_row(row, part.lengths[-1], artifact.metadata.tokenizer.pad_id)
                values = host.run(EMBED, {TOKEN_IDS: padded})
                simulated = simulate(tools, module, [values[tensor.name] for tensor in inputs])
                kernels = tuple(_numbers(_run(interpreter, values), output) for interpreter in interpreters)
                found.append(SimulatedText(_numbers(simulated, output), kernels))
        finally:
            host.close()
    return found


def _interpreter(model: bytes, kernels: Any) -> Any:
    interpreter = Interpreter(model_content=model, num_threads=1, experimental_op_resolver_type=kernels)
    interpreter.allocate_tensors()
    return interpreter


def _run(interpreter: Any, values: Any) -> NDArray[Any]:
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], values[detail["name"]])
    interpreter.invoke()
    [output] = interpreter.get_output_details()
    return np.asarray(interpreter.get_tensor(output["index"]))


def _numbers(steps: NDArray[Any], tensor: CompiledTensor) -> _Row:
    return np.asarray((steps.astype(np.float64) - tensor.zero_point) * tensor.scale).ravel()
