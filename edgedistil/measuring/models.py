"""Measures models on labelled texts: scores, changes against a reference, speed, and facts about the files."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistil import __version__
from edgedistil.data import LabelledTexts
from edgedistil.measuring.answers import require_one_label
from edgedistil.measuring.baseline import (
    BASELINE_NAME,
    Baseline,
    check_baseline_data,
    label_difference,
    require_baseline,
    train_baseline,
)
from edgedistil.measuring.machine import read_machine
from edgedistil.measuring.measurements import (
    BaselineFacts,
    DataFacts,
    FileFacts,
    KerasFacts,
    MeasuredModel,
    Measurements,
    OpCount,
)
from edgedistil.measuring.mistakes import Answers, confident_mistakes, count_changes
from edgedistil.measuring.reliability import measure_scores
from edgedistil.measuring.speed import (
    Benchmark,
    BenchmarkSettings,
    display_names,
    open_classifiers,
    require_text_input,
    time_calls,
    time_classifiers,
)
from edgedistil.measuring.texts import choose_texts, describe_texts
from edgedistil.scores import evaluate_labels
from edgedistil_converters.tflite.structure import read_structure
from edgedistil_runtime.artifact import read_artifact
from edgedistil_runtime.errors import DataError

__all__ = ["measure"]

Progress = Callable[[str], None]

_PACKAGES = ("tensorflow", "keras", "keras-hub")
_TOKENIZER_KEYS = ("kind", "sequence_length", "vocabulary_size", "lowercase", "strip_accents", "split_on_cjk")


def measure(
    paths: Sequence[Path],
    examples: LabelledTexts,
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
        examples: Labelled texts.
        settings: Settings of the speed measurement.
        num_examples: Texts with a changed label, and confident mistakes, to keep for each model; 0 keeps users' texts
            out of the report.
        baseline: Labelled texts to train the baseline on, which becomes the last model; `None` for no baseline.
        on_progress: Called with a line for people before each step.

    Raises:
        ArtifactError: a file is missing, foreign or damaged.
        InputError: a file has no tokenizer.
        PresetError: a directory cannot be loaded.
        DataError: there is no model, the data have a label that a model lacks, or the models' or the baseline's labels
            differ.
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
    labels = {path: _file_labels(path) for path in files}
    presets = {path: _load_preset(path, on_progress) for path in models if path.is_dir()}
    labels |= {path: preset.labels for path, preset in presets.items()}
    reference = next(iter(presets), models[0])
    examples = examples.spelled_as(labels[reference])
    _check_labels(labels, reference, examples)
    if baseline is not None:
        require_baseline()
        baseline = baseline.spelled_as(labels[reference])
        check_baseline_data(baseline, examples, labels[reference], reference.name)
    chosen = settings or BenchmarkSettings()
    asked = {path: _ask_preset(preset, examples, on_progress) for path, preset in presets.items()}
    speeds, answered = _measure_files(files, examples, chosen, on_progress)
    asked |= answered
    measured = [
        MeasuredModel(
            name=name,
            evaluation=evaluate_labels(examples.labels, asked[path].given, labels[reference]),
            changes=None
            if path == reference
            else count_changes(examples, asked[reference].answers, asked[path].answers, num_examples),
            speed=speeds.models[files.index(path)] if speeds and path in files else None,
            file=_file_facts(path) if path in files else None,
            keras=_keras_facts(presets[path]) if path in presets else None,
            scores=measure_scores(
                asked[path].probabilities, examples.labels, labels[path], temperature=asked[path].temperature
            ),
            mistakes=confident_mistakes(examples, asked[path].probabilities, labels[path], num_examples),
        )
        for name, path in zip(display_names(models), models, strict=True)
    ]
    timed = speeds.texts if speeds else None
    if baseline is not None:
        sample = choose_texts(examples.texts, chosen.largest_sample)
        trained, facts = _measure_baseline(baseline, sample, chosen, on_progress)
        given = trained.predict(examples.texts)
        measured.append(
            MeasuredModel(
                name=BASELINE_NAME,
                evaluation=evaluate_labels(examples.labels, given, labels[reference]),
                changes=count_changes(examples, asked[reference].answers, Answers(given), num_examples),
                baseline=facts,
            )
        )
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


def _file_labels(path: Path) -> tuple[str, ...]:
    require_text_input(path)
    metadata = read_artifact(path).metadata
    require_one_label(path, metadata.thresholds)
    return metadata.labels


def _check_labels(labels: Mapping[Path, tuple[str, ...]], reference: Path, examples: LabelledTexts) -> None:
    """Checks that every model has the reference's labels, and that these include the data's, before anything is run."""
    for path, own in labels.items():
        if set(own) != set(labels[reference]):
            raise DataError(
                f"Models in one report must have the same labels, those of {reference.name}. Received: {path.name}, "
                f"{label_difference(own, labels[reference])}. Make a report for each."
            )
    evaluate_labels(examples.labels, examples.labels, labels[reference])  # raises if the data has other labels


def _load_preset(path: Path, on_progress: Progress) -> Any:
    """Returns a `LabelledClassifier`."""
    from edgedistil.presets.loading import load_labelled_classifier

    on_progress(f"loading {path.name} into Keras")
    trained = load_labelled_classifier(path)
    require_one_label(path, trained.thresholds)
    return trained


@dataclass(frozen=True)
class _Asked:
    """Label of each text, the probability of every label, and what the logits were divided by."""

    given: tuple[str, ...]
    probabilities: NDArray[np.float32]
    temperature: float = 1.0

    @property
    def answers(self) -> Answers:
        """Labels with their scores."""
        return Answers(self.given, self.probabilities.max(axis=1).tolist())


def _ask_preset(preset: Any, examples: LabelledTexts, on_progress: Progress) -> _Asked:
    from edgedistil.training.keras_outputs import predict_probabilities

    on_progress(f"{preset.name}: Keras labels {len(examples):,} texts")
    probabilities = predict_probabilities(preset.classifier, examples.texts)
    return _Asked(tuple(preset.labels[i] for i in probabilities.argmax(axis=1)), probabilities)


def _measure_files(
    files: Sequence[Path], examples: LabelledTexts, settings: BenchmarkSettings, on_progress: Progress
) -> tuple[Benchmark | None, dict[Path, _Asked]]:
    """Speeds of all files, and the answers of each."""
    if not files:
        return None, {}
    answers = {}
    with open_classifiers(files, settings) as classifiers:
        for path, classifier in zip(files, classifiers, strict=True):
            on_progress(f"{path.name} labels {len(examples):,} texts")
            found = classifier.classify_batch(examples.texts)
            probabilities = np.array([list(answer.probabilities.values()) for answer in found], np.float32)
            given = tuple(answer.label for answer in found)
            answers[path] = _Asked(given, probabilities, classifier.metadata.temperature)
        speeds = time_classifiers(
            classifiers, files, examples.texts, source=examples.name, settings=settings, on_progress=on_progress
        )
    return speeds, answers


def _measure_baseline(
    training: LabelledTexts, sample: Sequence[str], settings: BenchmarkSettings, on_progress: Progress
) -> tuple[Baseline, BaselineFacts]:
    on_progress(f"training {BASELINE_NAME} on {len(training):,} texts")
    baseline = train_baseline(training)
    on_progress(f"timing {BASELINE_NAME}")
    facts = BaselineFacts(
        data=baseline.data,
        texts=baseline.texts,
        features=baseline.features,
        size=baseline.size,
        speed=time_calls(lambda text: baseline.predict([text]), baseline.predict, sample, runs=settings.runs),
        versions={"scikit-learn": baseline.version},
    )
    return baseline, facts


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


def _data_facts(examples: LabelledTexts) -> DataFacts:
    digest = _sha256(examples.path) if examples.path else ""
    return DataFacts(name=examples.name, texts=len(examples), sha256=digest)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
