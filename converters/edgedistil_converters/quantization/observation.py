"""A float model that is run on texts, and every tensor of which can be read afterwards."""

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
    """The signature of a float model that takes token ids: `classify_tokens`, or `serving_default`.

    Attributes:
        signature: its name.
        subgraph: its subgraph in the flatbuffer.
        sites: site -> the tensor that its step puts out.
    """

    def __init__(self, path: Path) -> None:
        with warnings.catch_warnings(), native_log_hidden():
            warnings.simplefilter("ignore")  # that preserved tensors take memory
            self._interpreter = Interpreter(model_path=str(path), experimental_preserve_all_tensors=True)
        signatures = self._interpreter.get_signature_list()
        self.signature = CLASSIFY_TOKENS if CLASSIFY_TOKENS in signatures else SERVING_DEFAULT
        self._runner = self._interpreter.get_signature_runner(self.signature)
        self.subgraph = int(self._runner._subgraph_index)
        details = self._interpreter.get_tensor_details(self.subgraph)
        named = {site_of(detail["name"], self.signature): int(detail["index"]) for detail in details}
        self.sites = {site: index for site, index in named.items() if site}

    def run(self, token_ids: Sequence[int]) -> None:
        """Runs the model on one row without padding."""
        row = np.array([token_ids], np.int32)
        if self.signature == CLASSIFY_TOKENS:
            self._runner(token_ids=row)
            return
        length = self._runner.get_input_details()["ids"]["shape"][1]
        ids = np.zeros((1, length), np.int32)
        ids[:, : row.shape[1]] = row
        mask = (np.arange(length) < row.shape[1]).astype(np.int32)[None]
        self._runner(ids=ids, segment_ids=np.zeros_like(ids), mask=mask)

    def values(self, tensor: int) -> NDArray[Any]:
        """What a tensor of the signature, by its index in the flatbuffer's subgraph, held at the end of the run."""
        values: NDArray[Any] = self._interpreter._interpreter.GetTensor(tensor, self.subgraph)
        return values


@contextmanager
def observed(model: bytes) -> Iterator[ObservedModel]:
    """Loads a model to observe.

    Args:
        model: a float flatbuffer with named sites (`name_sites`) and one of the two signatures.
    """
    with TemporaryDirectory(prefix="edgedistil-") as folder:
        path = Path(folder, "float.tflite")
        path.write_bytes(model)
        yield ObservedModel(path)
