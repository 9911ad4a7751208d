"""Writes a training result as a preset directory.

    config.json, model.weights.h5, task.json, …   KerasHub's preset, as its save_to_preset writes it
    labels.txt                                    one class name a line, in the order of the outputs
    thresholds.json                               label -> smallest probability, if a text may have several labels
    samples.jsonl                                 a few hundred validation texts (else training texts), on
                                                  which a conversion is judged
    README.md                                     the model card, with front matter as Hugging Face's hub reads it
    ATTRIBUTION.md                                whose texts the encoder at the start was made from, if its licences
                                                  ask for that
    training.json                                 settings, versions, data, per-epoch history, final metrics
    training.png                                  the curves

The same run writes the same text files, byte for byte: they contain no path, time or host name.
"""

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from edgedistil import __version__
from edgedistil.data import LabelledTexts, MultiLabelTexts
from edgedistil.data.samples import choose_samples, write_samples
from edgedistil.presets.attribution import ATTRIBUTION_FILE
from edgedistil.training.card import CARD_FILE, model_card
from edgedistil.training.curves import draw_curves
from edgedistil.training.loop import TrainingResult
from edgedistil.training.tasks import AnyTrainingData
from edgedistil_converters.files import atomic_directory

__all__ = ["SCHEMA_VERSION", "file_record", "write_training"]

SCHEMA_VERSION = 1
_PACKAGES = ("tensorflow", "keras", "keras-hub", "numpy")


def write_training(
    result: TrainingResult,
    data: AnyTrainingData,
    directory: str | Path,
    *,
    origin: Mapping[str, Any] | None = None,
    attribution: str = "",
    teacher: Mapping[str, Any] | None = None,
    keeps_samples: bool = True,
    force: bool = False,
) -> Path:
    """Writes a trained classifier as a preset directory that `edgedistil convert` takes.

    Args:
        result: Result of `train`.
        data: Data it was trained on; file names, row counts and hashes are recorded.
        directory: Directory to write.
        origin: Facts about the start of the training to record, such as `{"preset": "distil_bert_base_en"}`.
        attribution: Page that the licences of the encoder at the start ask for, see `read_attribution`.
        teacher: Facts about a teacher and the texts that it answered, such as `{"name": "my_teacher"}`.
        keeps_samples: Keep some of the validation texts with their labels in the directory, see `choose_samples`;
            of the training texts if there are no others.
        force: Replace a directory that an earlier call wrote.

    Returns:
        The directory.

    Raises:
        OutputError: the directory cannot be written; nothing is left of the attempt.

    Example:
        >>> from edgedistil.data import TrainingData, read_labelled_texts
        >>> from edgedistil.presets.loading import load_classifier
        >>> from edgedistil.training import TrainingSettings
        >>> from edgedistil.training.loop import train
        >>> data = TrainingData.prepare(read_labelled_texts("train.csv"))
        >>> result = train(load_classifier("intents"), data, TrainingSettings(epochs=1))
        >>> directory = write_training(result, data, "again")
        >>> (directory / "labels.txt").read_text().split()
        ['lights', 'music', 'weather']
    """
    target = Path(directory)
    # The data files are hashed first: if one is gone, nothing is written.
    record = _record(result, data, dict(origin or {})) | ({"teacher": dict(teacher)} if teacher else {})
    with atomic_directory(target, force=force) as work:
        result.trained.save(work)
        _forget_date(work / "metadata.json")
        if keeps_samples:
            write_samples(choose_samples(data.validation or data.training), work)
        _write_text(work / "training.json", json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
        _write_text(work / CARD_FILE, model_card(record, name=result.trained.name, attribution=attribution))
        if attribution:
            _write_text(work / ATTRIBUTION_FILE, attribution)
        draw_curves(result.history, result.best_epoch, work / "training.png")
    return target


def _record(result: TrainingResult, data: AnyTrainingData, origin: dict[str, Any]) -> dict[str, Any]:
    parts = {"training": data.training, "validation": data.validation, "test": data.test}
    return {
        "schema_version": SCHEMA_VERSION,
        "origin": origin,
        "settings": result.settings.to_dict(),
        "versions": {"edgedistil": __version__, **{name: version(name) for name in _PACKAGES}},
        "data": {part: _data_record(texts) for part, texts in parts.items() if texts is not None},
        "truncation": result.truncation.to_dict(),
        "labels": list(result.trained.labels),
        **({"thresholds": list(result.trained.thresholds)} if result.trained.thresholds else {}),
        "parameters": int(result.trained.classifier.count_params()),
        "best_epoch": result.best_epoch,
        "metrics": result.metrics,
        "history": list(result.history),
    }


def _data_record(texts: LabelledTexts | MultiLabelTexts) -> dict[str, Any]:
    if texts.path is None:
        return {"rows": len(texts)}
    return {**file_record(texts.path), "rows": len(texts)}


def file_record(path: Path) -> dict[str, str]:
    """Name and digest of a data file, or of a directory with a folder of texts for each class.

    Example:
        >>> file_record(Path("train.csv"))["file"]
        'train.csv'
    """
    if not path.is_dir():
        with path.open("rb") as file:
            return {"file": path.name, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
    digest = hashlib.sha256()
    for text in sorted(text for text in path.glob("*/*") if text.suffix.lower() == ".txt"):
        content = text.read_bytes()
        digest.update(f"{text.relative_to(path).as_posix()}\n{len(content)}\n".encode() + content)
    return {"file": path.name, "sha256": digest.hexdigest()}


def _forget_date(path: Path) -> None:
    metadata = json.loads(path.read_text(encoding="utf-8"))
    metadata.pop("date_saved", None)
    _write_text(path, json.dumps(metadata, indent=4))


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
