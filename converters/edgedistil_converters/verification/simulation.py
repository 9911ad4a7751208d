"""Compares an encoder for a Coralboard in the vendor's simulator with LiteRT's reference kernels.

torq-compile was seen to compile encoders whose simulated answers are wrong by up to 0.9, without an error. So a file
is written only if the simulator answers the golden cases as the flatbuffer does.
"""

from collections.abc import Sequence
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
from edgedistil_runtime.errors import ParityError

__all__ = ["SIMULATED_CASES", "SIMULATION_TOLERANCE", "check_simulation", "simulated_and_expected"]

# Every golden case: a defect of the compiler was seen on 17 of 60 texts, and not on the three that were tried first. A
# text of 2 layers, width 128 and 48 tokens takes 3 s on a quiet core.
SIMULATED_CASES = 8
# Of a probability, in steps of its int8. On 60 texts the simulator was within 13 steps of LiteRT's reference kernels,
# and LiteRT's own XNNPACK kernels were within 14.
SIMULATION_TOLERANCE = 16 / 256

_Row = NDArray[np.float64]


def check_simulation(path: Path, cases: Sequence[GoldenCase]) -> dict[str, Any]:
    """Simulates golden cases of a file for a Coralboard.

    Args:
        path: The file.
        cases: The golden cases; the first `SIMULATED_CASES` are taken.

    Returns:
        The result, as plain data for metadata.

    Raises:
        ParityError: A probability differs by more than `SIMULATION_TOLERANCE`, or a label.
        ConversionError: The simulator is missing or refuses the encoder.
    """
    artifact = read_artifact(path)
    rows = [case.token_ids for case in cases[:SIMULATED_CASES]]
    found = simulated_and_expected(artifact, rows, find_torq_tools())
    differences = [float(np.abs(simulated - expected).max()) for simulated, expected in found]
    decision = artifact.metadata.decision
    same = [decision.is_same(expected, simulated) for simulated, expected in found]
    if max(differences) > SIMULATION_TOLERANCE or not all(same):
        worst = int(np.argmax(differences))
        raise ParityError(
            f"The compiled encoder computes something else than the one that was compiled: in the vendor's simulator "
            f"a probability of {cases[worst].text!r} differs by {differences[worst]:.3g} from LiteRT's reference "
            f"kernels, at most {SIMULATION_TOLERANCE:.3g} is allowed, and {same.count(False)} of {len(same)} texts "
            "have another label. This is a defect of the compiler or the simulator, not of the classifier. Use the "
            "target cpu (`target`), or another version of torq-compiler."
        )
    return {
        "texts": len(found),
        "largest_difference": max(differences),
        "tolerance": SIMULATION_TOLERANCE,
        "label_agreement": 1.0,
    }


def simulated_and_expected(
    artifact: Artifact, rows: Sequence[Sequence[int]], tools: TorqTools
) -> list[tuple[_Row, _Row]]:
    """Returns probabilities of each row of token ids: those of the simulator, and those of LiteRT's reference kernels.

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
    reference = Interpreter(
        model_content=encoder.model, num_threads=1, experimental_op_resolver_type=OpResolverType.BUILTIN_REF
    )
    reference.allocate_tensors()
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
                found.append((_numbers(simulated, output), _numbers(_run(reference, values), output)))
        finally:
            host.close()
    return found


def _run(interpreter: Any, values: Any) -> NDArray[Any]:
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], values[detail["name"]])
    interpreter.invoke()
    [output] = interpreter.get_output_details()
    return np.asarray(interpreter.get_tensor(output["index"]))


def _numbers(steps: NDArray[Any], tensor: CompiledTensor) -> _Row:
    return np.asarray((steps.astype(np.float64) - tensor.zero_point) * tensor.scale).ravel()
