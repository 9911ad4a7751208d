"""Runs a float model on texts and reads any of its tensors afterwards."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from edgedistil_converters.tflite.site_names import site_of
from edgedistil_runtime.artifact import CLASSIFY_TOKENS, SERVING_DEFAULT
from edgedistil_runtime.native_log import native_log_hidden

__all__ = ["ObservedModel", "observed"]


class ObservedModel:
    """A float model, run by its signature that takes token ids: `classify_tokens` or `serving_default`.

    Args:
        path: A .tflite file.

    Attributes:
        signature: Name of the signature.
        subgraph: Index of the signature's subgraph in the flatbuffer.
        sites: Site -> index of its output tensor.
    """

    def __init__(self, path: Path) -> None:
        with warnings.catch_warnings(), native_log_hidden():
            warnings.simplefilter("ignore")  # a warning that preserved tensors take memory
            self._interpreter = Interpreter(model_path=str(path), experimental_preserve_all_tensors=True)
        signatures = self._interpreter.get_signature_list()
        self.signature = CLASSIFY_TOKENS if CLASSIFY_TOKENS in signatures else SERVING_DEFAULT
        self._runner = self._interpreter.get_signature_runner(self.signature)
        self.subgraph = int(self._runner._subgraph_index)
        details = self._interpreter.get_tensor_details(self.subgraph)
        named = {site_of(detail["name"], self.signature): int(detail["index"]) for detail in details}
        self.sites = {site: index for site, index in named.items() if site}

    def run(self, token_ids: Sequence[int]) -> None:
        """Run the model on one row of token ids without padding."""
        row = np.array([token_ids], np.int32)
        if self.signature == CLASSIFY_TOKENS:
            self._runner(token_ids=row)
            return
        # `serving_default` has MediaPipe's inputs, int32[1, length], padded; mask is 1 at tokens.
        length = self._runner.get_input_details()["ids"]["shape"][1]
        ids = np.zeros((1, length), np.int32)
        ids[:, : row.shape[1]] = row
        mask = (np.arange(length) < row.shape[1]).astype(np.int32)[None]
        self._runner(ids=ids, segment_ids=np.zeros_like(ids), mask=mask)

    def values(self, tensor: int) -> NDArray[Any]:
        """Return the values of a tensor after the last run.

        Args:
            tensor: Index of the tensor in the signature's subgraph.
        """
        values: NDArray[Any] = self._interpreter._interpreter.GetTensor(tensor, self.subgraph)
        return values


@contextmanager
def observed(model: bytes) -> Iterator[ObservedModel]:
    """Load a model for the time of a `with` block.

    Args:
        model: A float flatbuffer with named sites (`name_sites`) and one of the two signatures.
    """
    with TemporaryDirectory(prefix="edgedistil-") as folder:
        path = Path(folder, "float.tflite")
        path.write_bytes(model)
        yield ObservedModel(path)
