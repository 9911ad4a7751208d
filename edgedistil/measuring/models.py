"""Measures models on labelled texts: scores, changes against a reference, speed, and facts about the files."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import numpy as np

from edgedistil import __version__
from edgedistil.data import LabelledTexts
from edgedistil.measuring.baseline import (
    BASELINE_NAME,
    check_baseline_data,
    label_difference,
    require_baseline,
    train_baseline,
)
from edgedistil.measuring.measurements import (
    BaselineFacts,
    DataFacts,
    FileFacts,
    KerasFacts,
    MeasuredModel,
    Measurements,
    OpCount,
)
from edgedistil.measuring.scoring import AnyTexts, OneLabelScoring, Outputs, Scoring, kind_of
from edgedistil_converters.tflite.structure import read_structure
from edgedistil_runtime.artifact import read_artifact
from edgedistil_runtime.benchmarking.machine import read_machine
from edgedistil_runtime.benchmarking.speed import (
    Benchmark,
    BenchmarkSettings,
    display_names,
    open_classifiers,
    require_text_input,
    time_classifiers,
)
from edgedistil_runtime.benchmarking.texts import choose_texts, describe_texts
from edgedistil_runtime.benchmarking.timing import time_calls
from edgedistil_runtime.errors import DataError

__all__ = ["measure"]

Progress = Callable[[str], None]

_PACKAGES = ("tensorflow", "keras", "keras-hub")
_TOKENIZER_KEYS = ("kind", "sequence_length", "vocabulary_size", "lowercase", "strip_accents", "split_on_cjk")


def measure(
    paths: Sequence[Path],
    examples: AnyTexts,
    *,
    settings: BenchmarkSettings | None = None,
    num_examples: int = 20,
    baseline: LabelledTexts | None = None,
    on_progress: Progress = lambda _: None,
) -> Measurements:
    """Measures models side by side.

    Args:
        paths: `.tflite` files that EdgeDistil wrote, and preset directories, which Keras runs. The reference is the
            first directory, or else the first file.
        examples: Labelled texts; with several labels for a text, the models are multi-label models.
        settings: Settings of the speed measurement.
        num_examples: Texts with a changed label, and confident mistakes, to keep for each model; 0 keeps users' texts
            out of the report.
        baseline: Labelled texts to train the baseline on, which becomes the last model; `None` for no baseline, as
            with several labels for a text.
        on_progress: Called with a line for people before each step.

    Raises:
        ArtifactError: a file is missing, foreign or damaged.
        InputError: a file has no tokenizer.
        PresetError: a directory cannot be loaded.
        DataError: there is no model, the data have a label that a model lacks, the models' or the baseline's labels
            differ, or a model or the baseline gives a text one label and the data have several, or the other way round.
        EdgeDistilError: there is to be a baseline, and scikit-learn is not installed.
        BackendError: a file cannot be run here.

    Example:
        >>> from edgedistil.data import read_labelled_texts
        >>> settings = BenchmarkSettings(runs=1, starts=1, largest_sample=2)
        >>> measured = measure([Path("intents.tflite")], read_labelled_texts("test.csv"), settings=settings)
        >>> measured.models[0].scheme, measured.models[0].evaluation.texts
        ('int8', 15)
    """
    models = tuple(dict.fromkeys(paths))
    files = [path for path in models if not path.is_dir()]
    kind = kind_of(examples)
    labels = {path: _file_labels(path, kind) for path in files}
    presets = {path: _load_preset(path, kind, on_progress) for path in models if path.is_dir()}
    labels |= {path: preset.labels for path, preset in presets.items()}
    reference = next(iter(presets), models[0])
    scoring = kind.of(examples, labels[reference], num_examples)
    _check_labels(labels, reference, scoring)
    compared = None if baseline is None else _BaselineData.check(baseline, scoring, reference.name)
    chosen = settings or BenchmarkSettings()
    asked = {path: _ask_preset(preset, examples.texts, on_progress) for path, preset in presets.items()}
    speeds, answered = _measure_files(files, examples, chosen, on_progress)
    asked |= answered
    measured = [
        MeasuredModel(
            name=name,
            speed=speeds.models[files.index(path)] if speeds and path in files else None,
            file=_file_facts(path) if path in files else None,
            keras=_keras_facts(presets[path]) if path in presets else None,
            **scoring.score(asked[path], asked[reference]),
        )
        for name, path in zip(display_names(models), models, strict=True)
    ]
    timed = speeds.texts if speeds else None
    if compared is not None:
        sample = choose_texts(examples.texts, chosen.largest_sample)
        measured.append(compared.measure(asked[reference], sample, chosen.runs, on_progress))
        timed = timed or describe_texts(sample, examples.name)
    return Measurements(
        data=_data_facts(examples),
        labels=labels[reference],
        models=tuple(measured),
        reference=models.index(reference),
        machine=read_machine(),
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        timed=timed,
        settings=chosen,
        edgedistil=__version__,
    )


def _file_labels(path: Path, scoring: type[Scoring]) -> tuple[str, ...]:
    require_text_input(path)
    metadata = read_artifact(path).metadata
    scoring.require_kind(path, metadata.thresholds)
    return metadata.labels


def _check_labels(labels: Mapping[Path, tuple[str, ...]], reference: Path, scoring: Scoring) -> None:
    """Checks that every model has the reference's labels, and that these include the data's, before anything is run."""
    for path, own in labels.items():
        if set(own) != set(labels[reference]):
            raise DataError(
                f"Models in one report must have the same labels, those of {reference.name}. Received: {path.name}, "
                f"{label_difference(own, labels[reference])}. Make a report for each."
            )
    scoring.check_labels()


@dataclass(frozen=True)
class _BaselineData:
    """Texts to train the baseline on, and the scoring of its answers."""

    training: LabelledTexts
    scoring: OneLabelScoring

    @classmethod
    def check(cls, training: LabelledTexts, scoring: Scoring, model: str) -> Self:
        """Checks them, and gives their labels the reference's spelling."""
        if not isinstance(scoring, OneLabelScoring):
            raise DataError(
                "The baseline (`baseline`) gives every text one label, and the data have several for a text. Leave out "
                f"`baseline`. Received: {training.name}"
            )
        require_baseline()
        training = training.spelled_as(scoring.labels)
        check_baseline_data(training, scoring.examples, scoring.labels, model)
        return cls(training, scoring)

    def measure(self, reference: Outputs, sample: Sequence[str], runs: int, on_progress: Progress) -> MeasuredModel:
        """Trains the baseline, and measures it beside the reference."""
        on_progress(f"training {BASELINE_NAME} on {len(self.training):,} texts")
        baseline = train_baseline(self.training)
        on_progress(f"timing {BASELINE_NAME}")
        facts = BaselineFacts(
            data=baseline.data,
            texts=baseline.texts,
            features=baseline.features,
            size=baseline.size,
            speed=time_calls(lambda text: baseline.predict([text]), baseline.predict, sample, runs=runs),
            versions={"scikit-learn": baseline.version},
        )
        given = baseline.predict(self.scoring.examples.texts)
        return MeasuredModel(name=BASELINE_NAME, baseline=facts, **self.scoring.score_labels(given, reference))


def _load_preset(path: Path, scoring: type[Scoring], on_progress: Progress) -> Any:
    """Returns a `LabelledClassifier`."""
    from edgedistil.presets.loading import load_labelled_classifier

    on_progress(f"loading {path.name} into Keras")
    trained = load_labelled_classifier(path)
    scoring.require_kind(path, trained.thresholds)
    return trained


def _ask_preset(preset: Any, texts: Sequence[str], on_progress: Progress) -> Outputs:
    from edgedistil.training.keras_outputs import predict_probabilities

    on_progress(f"{preset.name}: Keras labels {len(texts):,} texts")
    probabilities = predict_probabilities(preset.classifier, texts)
    given = tuple(preset.labels[i] for i in probabilities.argmax(axis=1))
    return Outputs(preset.labels, given, probabilities, thresholds=preset.thresholds)


def _measure_files(
    files: Sequence[Path], examples: AnyTexts, settings: BenchmarkSettings, on_progress: Progress
) -> tuple[Benchmark | None, dict[Path, Outputs]]:
    """Speeds of all files, and the answers of each."""
    if not files:
        return None, {}
    answers = {}
    with open_classifiers(files, settings) as classifiers:
        for path, classifier in zip(files, classifiers, strict=True):
            on_progress(f"{path.name} labels {len(examples):,} texts")
            found = classifier.classify_batch(examples.texts)
            answers[path] = Outputs(
                labels=classifier.labels,
                given=tuple(answer.label for answer in found),
                probabilities=np.array([list(answer.probabilities.values()) for answer in found], np.float32),
                temperature=classifier.metadata.temperature,
                thresholds=classifier.metadata.thresholds,
            )
        speeds = time_classifiers(
            classifiers, files, examples.texts, source=examples.name, settings=settings, on_progress=on_progress
        )
    return speeds, answers


def _file_facts(path: Path) -> FileFacts:
    artifact = read_artifact(path)
    metadata, structure = artifact.metadata, read_structure(artifact.flatbuffer())
    return FileFacts(
        name=metadata.name,
        sha256=_sha256(path),
        flatbuffer_size=metadata.flatbuffer_size,
        flatbuffer_sha256=metadata.flatbuffer_sha256,
        quantization=dict(metadata.quantization),
        target=metadata.target,
        oldest_runtime=metadata.oldest_runtime,
        tokenizer={key: getattr(metadata.tokenizer, key) for key in _TOKENIZER_KEYS},
        architecture=dict(metadata.model),
        parity=dict(metadata.parity),
        preparation=dict(metadata.preparation),
        versions=dict(metadata.versions),
        golden_cases=len(metadata.golden_cases),
        ops=tuple(OpCount(op, number, count) for (op, number), count in structure.ops.items()),
        matmul_weights=structure.matmul_weights,
        integer_ops=structure.integer_ops,
        constant_bytes=structure.constant_bytes,
    )


def _keras_facts(preset: Any) -> KerasFacts:
    weights = preset.classifier.weights
    return KerasFacts(
        source=preset.source,
        parameters=int(preset.classifier.count_params()),
        weight_bytes=sum(int(weight.numpy().nbytes) for weight in weights),
        sequence_length=int(preset.classifier.preprocessor.sequence_length),
        versions={package: version(package) for package in _PACKAGES},
    )


def _data_facts(examples: AnyTexts) -> DataFacts:
    digest = _sha256(examples.path) if examples.path else ""
    return DataFacts(name=examples.name, texts=len(examples), sha256=digest)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
