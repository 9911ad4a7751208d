"""The state of a training after an epoch, so that one that was interrupted goes on.

Dropout and the order of the texts are drawn from the seed and the number of the step or epoch, so the state is only
numbers: weights, Adam's moments, the best weights so far, and the history. The file is replaced as a whole after every
epoch, and contains arrays and JSON only: reading it cannot run code.
"""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from edgedistil.training.callbacks import BestEpoch
from edgedistil_converters.files import atomic_path
from edgedistil_runtime.errors import DataError

__all__ = ["TrainingState"]


class TrainingState(keras.callbacks.Callback):  # type: ignore[misc]
    """Writes the state after every epoch, and restores it.

    Args:
        path: The file.
        network: The model that is trained, compiled and built.
        best: The best epoch so far, whose state is part of this one.
        digest: Digest of what the training depends on.
    """

    def __init__(self, path: Path, network: Any, best: BestEpoch, digest: str) -> None:
        super().__init__()
        self._path, self._network, self._best, self._digest = path, network, best, digest

    def restore(self, content: bytes | None = None) -> int:
        """Restores the state of the file; returns the number of epochs that are done, 0 if there is no file.

        Args:
            content: What the file has, if it is not on this machine; empty if there is none.

        Raises:
            DataError: the file is damaged, or of a training with other settings or data.
        """
        if content == b"" or (content is None and not self._path.exists()):
            return 0
        try:
            with self._path.open("rb") if content is None else io.BytesIO(content) as file, np.load(file) as arrays:
                header = json.loads(str(arrays["header"]))
                found = {name: arrays[name] for name in arrays.files}
            digest = header["digest"]
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise DataError(
                f"The state of the interrupted training cannot be read: {error}. Received: {self._path}. "
                "Remove it to start again"
            ) from error
        if digest != self._digest:
            raise DataError(
                f"{self._path} is the state of a training with other settings or other data. Pass the same ones to go "
                "on with it, or remove the file to start again"
            )
        for index, variable in enumerate(self._variables()):
            variable.assign(found[f"variable_{index}"])
        best_weights = [found[f"best_{index}"] for index in range(header["best_weights"])]
        self._best.load_state(header["best"], best_weights)
        return int(header["epochs"])

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the state."""
        state, best_weights = self._best.state()
        header = {"digest": self._digest, "epochs": epoch + 1, "best": state, "best_weights": len(best_weights)}
        arrays: dict[str, Any] = {"header": np.array(json.dumps(header))}
        arrays |= {f"variable_{index}": np.asarray(value) for index, value in enumerate(self._variables())}
        arrays |= {f"best_{index}": value for index, value in enumerate(best_weights)}
        with atomic_path(self._path, force=True) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)

    def _variables(self) -> list[Any]:
        return [*self._network.weights, *self._network.optimizer.variables]
