"""Trainings that one process and several workers do alike, as data and as a program.

    TF_CONFIG=... python cases.py OUTPUT.json [CASE]...

trains cases, by default all, with the other workers and writes what came out of each. Without TF_CONFIG it is one
process.
"""

import json
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgedistil.training.cluster import read_cluster

WORDS = {"lights": "lamp bulb bright dark", "music": "song louder jazz play", "weather": "rain sunny cloud warm"}


@dataclass(frozen=True)
class Case:
    """A training.

    Attributes:
        has_sets: Texts have several labels.
        is_taught: It learns a teacher's answers too, to the texts and to some without labels.
        texts: Number of training texts.
        longest: Words of the longest ones, at least.
        precision: Type of the weights. Sums of float64 in another order are equal for all epochs; those of float32 may
            differ after an activation of 0 within rounding, where the gradient of ReLU jumps.
        changes: Settings.
    """

    has_sets: bool = False
    is_taught: bool = False
    texts: int = 29
    longest: int = 4
    precision: str = "float32"
    changes: dict[str, Any] = field(default_factory=dict)


# 29 texts in batches of 7: the last batch has one text, so that one of two workers has none. In the long ones, batches
# are sorted in groups of 100, of which an epoch has two, and a batch has more tokens than are computed at once.
_LONG = {"token_dropout": 0.2, "class_weights": "balanced", "learning_rate": 3e-3}
CASES = {
    "one label": Case(changes={"token_dropout": 0.2, "class_weights": "balanced", "accumulated_batches": 2}),
    "early end": Case(changes={"learning_rate": 1e-2, "monitor": "loss", "patience": 1, "epochs": 25}),
    "several labels": Case(has_sets=True, changes={"monitor": "micro_f1"}),
    "teacher": Case(
        is_taught=True,
        precision="float64",
        changes={"vector_loss": 0.5, "hidden_loss": 0.5, "temperature": 2.0, "epochs": 6},
    ),
    "many batches": Case(texts=320, precision="float64", changes=_LONG | {"batch_size": 3, "epochs": 2}),
    "large batches": Case(
        texts=201, longest=60, precision="float64", changes=_LONG | {"batch_size": 50, "sequence_length": 48}
    ),
    "dropout": Case(changes={"dropout": 0.1, "epochs": 6}),
}


def texts_of(seed, count, longest=4):
    """Texts of three labels, two words of a label, one of any, a number, and words of any up to the longest."""
    generator = np.random.default_rng(seed)
    labels = [list(WORDS)[number] for number in generator.integers(0, len(WORDS), count)]
    words = [WORDS[label].split() for label in labels]
    anything = " ".join(WORDS.values()).split()
    texts = []
    for number, own in enumerate(words):
        text = [*generator.choice(own, 2), generator.choice(anything), str(number)]
        texts.append(" ".join([*text, *generator.choice(anything, generator.integers(0, longest - 3))]))
    return tuple(texts), tuple(labels)


def prepare(case):
    """Data, settings and soft targets."""
    from edgedistil.data import LabelledTexts, MultiLabelTexts, MultiLabelTrainingData, TrainingData
    from edgedistil.training import FROM_SCRATCH
    from edgedistil.training.objective import SoftTargets

    parts = [texts_of(seed, count, case.longest) for seed, count in ((0, case.texts), (1, 70))]
    if case.has_sets:
        further = {"lights": "music", "music": "weather", "weather": "weather"}
        sets = [
            MultiLabelTexts(texts, tuple(tuple(dict.fromkeys((label, further[label]))) for label in labels))
            for texts, labels in parts
        ]
        data = MultiLabelTrainingData(*sets)
    else:
        data = TrainingData(*(LabelledTexts(*part) for part in parts))
    settings = replace(
        FROM_SCRATCH, **{"epochs": 3, "batch_size": 7, "dropout": 0.0, "token_dropout": 0.0, "sequence_length": 12}
    )
    settings = replace(settings, **case.changes)
    soft = None
    if case.is_taught:
        generator, more = np.random.default_rng(2), texts_of(3, 6)[0]
        of_all = {"vectors": (35, 8), "hidden": (35, 2, 8)}
        drawn = {name: generator.normal(size=shape).astype("float32") for name, shape in of_all.items()}
        logits = [generator.normal(size=(count, 3)).astype("float32") for count in (29, 6)]
        soft = SoftTargets(logits[0], more, logits[1], **drawn)
    return data, settings, soft


@contextmanager
def precision(name):
    """Computes in another type."""
    import keras

    before = keras.config.floatx()
    keras.config.set_floatx(name)
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_floatx(before)
        keras.config.set_dtype_policy(before)


def run(case, team=None, checkpoint=None):
    """Trains, and returns losses of steps and epochs, decisions and the sum of the weights."""
    with precision(case.precision):
        return _run(case, team, checkpoint)


def _run(case, team, checkpoint):
    from edgedistil.sizes import BackboneSize
    from edgedistil.training.callbacks import ProgressReporter
    from edgedistil.training.loop import train
    from edgedistil.training.start import from_scratch

    data, settings, soft = prepare(case)
    size = BackboneSize(num_layers=2 if case.is_taught else 1, hidden_dim=16, num_heads=2, intermediate_dim=32)
    classifier = from_scratch(size, data, settings, vocabulary=150)
    steps: list[float] = []
    reporter = ProgressReporter(lambda report: report.is_epoch_done or steps.append(report.metrics["loss"]))
    result = train(
        classifier, data, settings, soft_targets=soft, team=team, checkpoint=checkpoint, callbacks=[reporter]
    )
    return {
        "steps": steps,
        "history": list(result.history),
        "best_epoch": result.best_epoch,
        "metrics": result.metrics,
        "thresholds": list(result.trained.thresholds),
        "weights": [float(np.abs(np.asarray(one)).sum()) for one in classifier.weights],
    }


def main():
    from edgedistil.training.team import Team

    cluster = read_cluster()
    team = Team.join(cluster) if cluster else None
    found = {name: run(CASES[name], team) for name in sys.argv[2:] or CASES}
    Path(sys.argv[1]).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
