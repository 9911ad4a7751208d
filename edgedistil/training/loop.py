"""Fits a classifier to labelled texts and measures it."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from edgedistil.presets.loading import LabelledClassifier
from edgedistil.training.batches import EpochNumber, tokenize, training_batches
from edgedistil.training.callbacks import BestEpoch, FiniteLoss
from edgedistil.training.checks import check_team_settings, check_training
from edgedistil.training.head import has_linear_head
from edgedistil.training.long_texts import divide_texts, mean_by_text, measure_truncation
from edgedistil.training.network import Evaluator, TrainingNetwork, pieces_that_occur, with_rows
from edgedistil.training.objective import Objective, SoftTargets, make_objective, texts_to_fit
from edgedistil.training.optimization import build_optimizer
from edgedistil.training.pooling import has_mean_pooling
from edgedistil.training.settings import TrainingSettings
from edgedistil.training.state import TrainingState
from edgedistil.training.tasks import AnyTrainingData, MultiLabel, task_of
from edgedistil.training.team import Team
from edgedistil.training.together import fit_together
from edgedistil.training.vectors import VectorMap
from edgedistil.training.workers import check_one_worker
from edgedistil.truncation import Truncation
from edgedistil_runtime.pieces import WINDOWS

__all__ = ["TrainingResult", "steps_per_epoch", "train"]

_MOST_TO_MAP = 10_000  # texts that the first map to a teacher's vectors is fitted to


@dataclass(frozen=True)
class TrainingResult:
    """A trained classifier and how it was trained.

    Attributes:
        trained: Classifier with the weights of the best epoch, and its labels.
        settings: Settings of the training.
        history: One mapping an epoch, as in `training.json`.
        best_epoch: Number of the best epoch, from 1 up; the last one if there are no validation data.
        metrics: `validation` and `test`, as far as there are such data, each with accuracy, macro_f1, loss, rows; with
            several labels for a text micro_f1, macro_f1, subset_accuracy, loss, rows.
        truncation: Training texts that are longer than the sequence length.
        never_predicted: Labels with validation texts that the classifier gives to no validation text.
    """

    trained: LabelledClassifier
    settings: TrainingSettings
    history: tuple[dict[str, Any], ...]
    best_epoch: int
    metrics: dict[str, dict[str, Any]]
    truncation: Truncation
    never_predicted: tuple[str, ...] = ()


def train(
    classifier: Any,
    data: AnyTrainingData,
    settings: TrainingSettings,
    *,
    name: str = "classifier",
    callbacks: Iterable[Any] = (),
    checkpoint: Path | None = None,
    soft_targets: SoftTargets | None = None,
    team: Team | None = None,
) -> TrainingResult:
    """Fits a classifier, and keeps the epoch that is best on the validation data.

    The classifier is changed in place. Its own compilation is left as it is: training uses a second Keras model over
    the same variables, which takes token ids, so that every text is tokenized once and not once an epoch.

    Args:
        classifier: A `keras_hub.models.DistilBertTextClassifier` with a preprocessor.
        data: Data to train, validate and test on. With several labels for a text, the classifier has a sigmoid for
            each label (`activation="sigmoid"`), and the thresholds are fitted to the validation data.
        settings: Settings; the same settings and data give the same classifier on the same machine.
        name: Name of the result.
        callbacks: Keras callbacks to add, such as a `ProgressReporter`.
        checkpoint: File for the state of the training, written after every epoch. If it exists and is of the same
            training, that training goes on, and ends with the weights that it would have had without a break.
        soft_targets: Answers of a teacher, which the classifier is fitted to as well; see `edgedistil.distillation`.
        team: Workers that train it together, each with the same arguments except for `callbacks` and `checkpoint`: the
            latter is read and written by worker 0. All of them return the same result. `None` is only this process.

    Returns:
        The trained classifier with its labels, history and metrics.

    Raises:
        PresetError: the classifier has no preprocessor, or another number of outputs than the data have classes.
        DataError: the loss is not a finite number, the checkpoint is of another training, or the soft targets are of
            other texts or classes.
        InputError: the environment names several workers (`TF_CONFIG`), and there is no `team`.
        WorkerError: a worker of the team was lost, or has other arguments.

    Example:
        >>> from edgedistil.data import TrainingData, read_labelled_texts
        >>> from edgedistil.presets.loading import load_classifier
        >>> data = TrainingData.prepare(read_labelled_texts("train.csv"))
        >>> result = train(load_classifier("intents"), data, TrainingSettings(epochs=1))
        >>> result.metrics["validation"]["accuracy"]
        1.0
    """
    if team is None:
        check_one_worker("Pass the workers as `team`, see `edgedistil.training.team`")
    else:
        check_team_settings(settings, team.size)
    check_training(classifier, data, settings, soft_targets)
    settings = settings.with_rate(int(classifier.backbone.hidden_dim))
    keras.utils.set_random_seed(settings.seed)
    if settings.is_backbone_frozen:
        classifier.backbone.trainable = False
    # Kernels that are multiples of the identity stay so: int8 has no room for small numbers beside a large diagonal, so
    # that a file would lose what these layers learn.
    if has_mean_pooling(classifier.backbone):
        classifier.backbone.transformer_layers[-1].trainable = False
    if has_linear_head(classifier):
        classifier.pooled_dense.trainable = False
    if team is not None:
        team.assign_from_chief(classifier.weights)
    run = _Run(classifier, data, settings, soft_targets, team)
    best = BestEpoch(
        (lambda: run.measure("validation")) if data.validation else None,
        monitor=settings.monitor,
        patience=settings.patience,
    )
    run.fit(best, callbacks, checkpoint)
    return TrainingResult(
        trained=LabelledClassifier(classifier, data.labels, name=name, source=name, thresholds=run.thresholds()),
        settings=settings,
        history=tuple(best.history),
        best_epoch=best.best_epoch,
        metrics={part: run.measure(part) for part in run.parts if part != "training"},
        truncation=measure_truncation(classifier.preprocessor, data.training.texts, settings.long_texts),
        never_predicted=run.never_predicted(),
    )


def steps_per_epoch(
    data: AnyTrainingData,
    settings: TrainingSettings,
    preprocessor: Any = None,
    soft_targets: SoftTargets | None = None,
) -> int:
    """Number of batches in an epoch.

    Args:
        data: Data to train on.
        settings: Settings of the training.
        preprocessor: Preprocessor of the classifier, to count pieces if `settings.long_texts` is `windows`.
        soft_targets: Soft targets of the training, whose further texts count too.

    Example:
        >>> from edgedistil.data import LabelledTexts, TrainingData
        >>> texts = LabelledTexts(("a", "b", "c"), ("x", "y", "y"))
        >>> steps_per_epoch(TrainingData(texts, texts), TrainingSettings(batch_size=2))
        2
    """
    texts = texts_to_fit(data, soft_targets)
    if settings.long_texts == WINDOWS and preprocessor is not None:
        texts = divide_texts(preprocessor, texts, WINDOWS).texts
    return -(-len(texts) // settings.batch_size)


class _Run:
    """The network of a training, and what is read of its texts, as rows of the network's table."""

    def __init__(
        self,
        classifier: Any,
        data: AnyTrainingData,
        settings: TrainingSettings,
        soft_targets: SoftTargets | None,
        team: Team | None,
    ) -> None:
        self._classifier, self._data, self._settings, self._soft = classifier, data, settings, soft_targets
        self._team = team
        given = {"training": data.training, "validation": data.validation, "test": data.test}
        to_read = {part: found.texts for part, found in given.items() if found}
        to_read["training"] = texts_to_fit(data, soft_targets)
        self._divided = {
            part: divide_texts(classifier.preprocessor, found, settings.long_texts) for part, found in to_read.items()
        }
        texts = {part: tokenize(classifier.preprocessor, divided.texts) for part, divided in self._divided.items()}
        unknown = int(classifier.preprocessor.tokenizer.token_to_id("[UNK]"))
        pieces = pieces_that_occur(texts.values(), unknown)
        self.parts = {part: with_rows(found, pieces) for part, found in texts.items()}
        self._task = task_of(data)
        self._targets = {part: self._task.targets(found) for part, found in given.items() if found}
        self._unknown_row = int(np.searchsorted(pieces, unknown))
        self._network = TrainingNetwork(classifier, pieces, seed=settings.seed)
        self._evaluator = Evaluator(self._network, team)

    def measure(self, part: str) -> dict[str, Any]:
        probabilities, targets = self._probabilities(part), self._targets[part]
        # Fitted to the validation data, so that their scores are a little better than those of other texts.
        thresholds = self._task.thresholds(probabilities, targets) if part == "validation" else self.thresholds()
        return self._task.score(probabilities, targets, thresholds)

    def thresholds(self) -> tuple[float, ...]:
        if "validation" not in self.parts or not isinstance(self._task, MultiLabel):
            return self._task.thresholds(None, None)
        return self._task.thresholds(self._probabilities("validation"), self._targets["validation"])

    def _probabilities(self, part: str) -> NDArray[np.float32]:
        """Probabilities of the classes, float32[texts, classes]."""
        return mean_by_text(self._task.probabilities(self._evaluator.logits(self.parts[part])), self._divided[part])

    def never_predicted(self) -> tuple[str, ...]:
        if "validation" not in self.parts:
            return ()
        probabilities, targets = self._probabilities("validation"), self._targets["validation"]
        return self._task.never_given(probabilities, targets, self._task.thresholds(probabilities, targets))

    def fit(self, best: BestEpoch, callbacks: Iterable[Any], checkpoint: Path | None) -> None:
        settings, network = self._settings, self._network
        objective = make_objective(self._data, self._divided["training"].rows, settings, self._soft)
        epoch = EpochNumber()
        if settings.vector_loss:
            network.learn_vectors(self._vector_map())
        if settings.hidden_loss:
            network.learn_hidden(self._hidden_maps())
        batches = self._batches(objective, epoch)
        network.compile(
            optimizer=build_optimizer(
                settings, steps_per_epoch=len(batches), num_layers=int(self._classifier.backbone.num_layers)
            ),
            loss=objective.loss,
            metrics=[objective.accuracy],
            jit_compile=settings.is_jit_compiled,
        )
        network.optimizer.build(network.trainable_variables)
        digest = self._digest()
        if self._team is not None:
            self._team.check_equal({"the start, the texts, the labels or the settings": digest.encode()})
            self._team.assign_from_chief(network.weights)
        state = TrainingState(checkpoint or Path(), network, best, digest)
        first = self._restore(state, checkpoint)
        writers = [state] if checkpoint and (self._team is None or self._team.is_chief) else []
        try:
            if not best.is_finished(first):
                self._fit(batches, first, [epoch, FiniteLoss(), best, *writers, *callbacks])
        finally:
            best.restore(network)
            network.write_embeddings()  # type: ignore[no-untyped-call]

    def _fit(self, batches: Any, first: int, callbacks: list[Any]) -> None:
        settings = self._settings
        if self._team is None:
            # shuffle=False: training_batches gives a new order every epoch.
            self._network.fit(
                batches,
                epochs=settings.epochs,
                initial_epoch=first,
                callbacks=callbacks,
                verbose=0,
                shuffle=False,
            )
            return
        fit_together(
            self._network,
            batches,
            team=self._team,
            batch_size=settings.batch_size,
            epochs=settings.epochs,
            first=first,
            callbacks=callbacks,
        )

    def _restore(self, state: TrainingState, checkpoint: Path | None) -> int:
        """Restores the state of an earlier training, if there is one; returns the number of epochs that are done."""
        has_file = checkpoint is not None and checkpoint.exists()
        if self._team is None:
            return state.restore() if has_file else 0
        is_read = self._team.is_chief and has_file
        return state.restore(self._team.bytes_from_chief(checkpoint.read_bytes() if checkpoint and is_read else b""))

    def _batches(self, objective: Objective, epoch: EpochNumber) -> Any:
        settings = self._settings
        return training_batches(
            self.parts["training"],
            objective.targets,
            weights=objective.weights,
            batch_size=settings.batch_size,
            seed=settings.seed,
            epoch=epoch,
            token_dropout=settings.token_dropout,
            unknown_id=self._unknown_row,
            is_full_length=settings.is_jit_compiled,
            vectors={
                **({"vectors": self._vectors()} if settings.vector_loss else {}),
                **({"hidden": self._hidden()} if settings.hidden_loss else {}),
            },
            share=(self._team.index, self._team.size) if self._team else None,
        )

    def _vectors(self) -> NDArray[np.float32]:
        """The teacher's vector of each piece of the training texts, float32[pieces, width]."""
        vectors = self._soft.vectors if self._soft else None
        assert vectors is not None
        return self._by_piece(vectors)

    def _hidden(self) -> NDArray[np.float32]:
        """The teacher's means for the student's inner layers, side by side, float32[pieces, layers * width]."""
        hidden = self._soft.hidden if self._soft else None
        assert hidden is not None
        return self._by_piece(hidden[:, : self._network.num_inner_layers].reshape(len(hidden), -1))

    def _by_piece(self, of_texts: NDArray[np.float32]) -> NDArray[np.float32]:
        rows = self._divided["training"].rows
        return of_texts if len(rows) == len(of_texts) else of_texts[rows]  # without a copy, if each text is one piece

    def _vector_map(self) -> VectorMap:
        """A map to the teacher's vectors that is fitted to the vectors before training."""
        chosen = self._texts_to_map()
        given = self._evaluator.features(self.parts["training"].take(chosen))
        return VectorMap.fit(given, self._vectors()[chosen], self._settings.vector_loss)

    def _hidden_maps(self) -> list[VectorMap]:
        """The same for each inner layer."""
        chosen, count = self._texts_to_map(), self._network.num_inner_layers
        given = np.split(self._evaluator.hidden(self.parts["training"].take(chosen)), count, axis=1)
        expected = np.split(self._hidden()[chosen], count, axis=1)
        weight = self._settings.hidden_loss / count
        return [
            VectorMap.fit(student, teacher, weight, name=f"hidden_map_{layer}")
            for layer, (student, teacher) in enumerate(zip(given, expected, strict=True))
        ]

    def _texts_to_map(self) -> NDArray[np.int64]:
        generator = np.random.default_rng(self._settings.seed)
        return generator.permutation(len(self.parts["training"]))[:_MOST_TO_MAP]

    def _digest(self) -> str:
        """Of everything that the weights after an epoch depend on, except the callbacks."""
        digest = hashlib.sha256(json.dumps([self._settings.to_dict(), self._data.labels], sort_keys=True).encode())
        for part in self.parts:
            digest.update(np.ascontiguousarray(self.parts[part].token_ids).data)
            digest.update(self._targets[part].data)
            digest.update(self._divided[part].rows.data)
        if self._soft is not None:
            digest.update(self._soft.all_logits.data)
            if self._settings.vector_loss:
                digest.update(np.ascontiguousarray(self._soft.vectors).data)
            if self._settings.hidden_loss:
                digest.update(np.ascontiguousarray(self._soft.hidden).data)
        # Weights from which training starts: another preset of the same sizes is another training.
        digest.update(np.ascontiguousarray(self._classifier.backbone.token_embedding.embeddings).data)
        for variable in self._network.weights:
            digest.update(str((variable.path, tuple(variable.shape))).encode())
        return digest.hexdigest()
