"""The ranges of activations: measured on texts, and spread over a graph for a quantizer.

Static int8 rounds an activation to 256 steps between a least and a greatest value that the file fixes. They are
measured here by running the float model; quantization-aware training learns them instead. Three steps of a
transformer waste most of a plain range:

* What goes into GELU reaches far below zero, where GELU gives zero: below -4 it gives less than 1.3e-4.
* What goes into softmax may be far below the row's largest value, where softmax gives zero: exp(-12) is 6e-6.
* What comes out of softmax is between 0 and 1, whatever the texts were.
"""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from edgedistil_converters.sites import GELU_FLOOR, SOFTMAX_REACH, site_of
from edgedistil_runtime.artifact import CLASSIFY_TOKENS, SERVING_DEFAULT

__all__ = ["Ranges", "activation_ranges", "quantizer_statistics"]

Ranges = Mapping[str, tuple[float, float]]

_PROBABILITY = (0.0, 1.0)
_NARROWEST = 1e-3  # of a step that gave zeros alone, or its scale would be 0
_MASKED_ATTENTION, _ATTENTION = "masked_attention", "attention"
# Ops that put out the numbers that they take in.
_MOVING = {
    getattr(schema.BuiltinOperator, name)
    for name in ("RESHAPE", "TRANSPOSE", "SLICE", "STRIDED_SLICE", "SQUEEZE", "EXPAND_DIMS")
}


def activation_ranges(model: bytes, token_ids: Iterable[Sequence[int]]) -> dict[str, tuple[float, float]]:
    """Runs a float model on rows of token ids and measures every site.

    Args:
        model: a flatbuffer with named sites (`name_sites`) and the signature `classify_tokens`, or `serving_default`.
        token_ids: rows without padding, of the lengths that the texts have.

    Returns:
        site -> (least, greatest), zero between them.
    """
    with TemporaryDirectory(prefix="edgedistil-") as folder:
        path = Path(folder, "float.tflite")
        path.write_bytes(model)
        observed = _Observer(path)
        for row in token_ids:
            observed.run(np.array([row], np.int32))
    return observed.ranges()


class _Observer:
    """The sites of a float model, read after every run."""

    def __init__(self, path: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that preserved tensors take memory
            self._interpreter = Interpreter(model_path=str(path), experimental_preserve_all_tensors=True)
        signatures = self._interpreter.get_signature_list()
        self._signature = CLASSIFY_TOKENS if CLASSIFY_TOKENS in signatures else SERVING_DEFAULT
        self._runner = self._interpreter.get_signature_runner(self._signature)
        self._subgraph = self._runner._subgraph_index
        details = self._interpreter.get_tensor_details(self._subgraph)
        named = {site_of(detail["name"], self._signature): detail["index"] for detail in details}
        self._tensors = {site.replace(_MASKED_ATTENTION, _ATTENTION): i for site, i in named.items() if site}
        self._least: dict[str, float] = {}
        self._greatest: dict[str, float] = {}

    def run(self, row: NDArray[np.int32]) -> None:
        if self._signature == CLASSIFY_TOKENS:
            self._runner(token_ids=row)
        else:
            length = self._runner.get_input_details()["ids"]["shape"][1]
            ids = np.zeros((1, length), np.int32)
            ids[:, : row.shape[1]] = row
            mask = (np.arange(length) < row.shape[1]).astype(np.int32)[None]
            self._runner(ids=ids, segment_ids=np.zeros_like(ids), mask=mask)
        for site, index in self._tensors.items():
            values = self._interpreter._interpreter.GetTensor(index, self._subgraph)
            least, greatest = float(values.min()), float(values.max())
            if site.endswith("/scores"):
                least = max(least, float(values.max(-1).min()) - SOFTMAX_REACH)
            self._least[site] = min(least, self._least.get(site, 0.0))
            self._greatest[site] = max(greatest, self._greatest.get(site, 0.0))

    def ranges(self) -> dict[str, tuple[float, float]]:
        return {site: _useful(site, self._least[site], self._greatest[site]) for site in self._least}


def _useful(site: str, least: float, greatest: float) -> tuple[float, float]:
    if site.endswith(f"/{_ATTENTION}"):
        return _PROBABILITY
    if site.endswith("/intermediate"):
        return max(least, GELU_FLOOR), greatest
    return least, greatest


def quantizer_statistics(content: Any, ranges: Ranges) -> dict[str, dict[str, Any]]:
    """Ranges of sites as the calibration result of litert-quantizer: of every tensor that has one, by its name.

    Args:
        content: a `ModelT` with named sites.
        ranges: of the sites.

    Returns:
        tensor name -> {"min": float32, "max": float32}, for tensors of sites in all signatures and for those that only
        move the numbers of one.
    """
    found: dict[str, dict[str, Any]] = {}
    for signature in content.signatureDefs:
        subgraph, known = content.subgraphs[signature.subgraphIndex], dict[int, tuple[float, float]]()
        for op in subgraph.operators:
            output = int(op.outputs[0])
            name = subgraph.tensors[output].name.decode()
            site = site_of(name, signature.signatureKey.decode()).replace(_MASKED_ATTENTION, _ATTENTION)
            is_moving = content.operatorCodes[op.opcodeIndex].builtinCode in _MOVING
            if site in ranges:
                known[output] = ranges[site]
            elif is_moving and int(op.inputs[0]) in known:
                known[output] = known[int(op.inputs[0])]
            if output in known:
                least, greatest = known[output]
                found[name] = {"min": np.float32(least), "max": np.float32(max(greatest, least + _NARROWEST))}
    return found
