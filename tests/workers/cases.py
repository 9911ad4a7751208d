"""Trainings that one process and several workers do alike, as data and as a program.

    TF_CONFIG=... python cases.py OUTPUT.json [CASE]...

trains cases, by default all, with the other workers and writes what came out of each. Without TF_CONFIG it is one
process.
"""

import json
import sys
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
        changes: Settings.
    """

    has_sets: bool = False
    is_taught: bool = False
    changes: dict[str, Any] = field(default_factory=dict)


# 29 texts in batches of 7: the last batch has one text, so that one of two workers has none.
CASES = {
    "one label": Case(changes={"token_dropout": 0.2, "class_weights": "balanced"}),
    "parts and accumulation": Case(changes={"batch_size": 13, "accumulated_batches": 2}),
    "early end": Case(changes={"learning_rate": 0.2, "patience": 1, "epochs": 8}),
    "several labels": Case(has_sets=True, changes={"monitor": "micro_f1"}),
    "teacher": Case(is_taught=True, changes={"vector_loss": 0.5, "hidden_loss": 0.5, "temperature": 2.0}),
    "several labels and teacher": Case(has_sets=True, is_taught=True, changes={"monitor": "micro_f1"}),
    "dropout": Case(changes={"dropout": 0.1, "epochs": 6}),
}


def texts_of(seed, count):
    """Texts of three labels, two words of a label and one of any."""
    generator = np.random.default_rng(seed)
    labels = [list(WORDS)[number] for number in generator.integers(0, len(WORDS), count)]
    words = [WORDS[label].split() for label in labels]
    anything = " ".join(WORDS.values()).split()
    texts = [
        " ".join([*generator.choice(own, 2), generator.choice(anything), str(number)])
        for number, own in enumerate(words)
    ]
    return tuple(texts), tuple(labels)


def prepare(case):
    """Data, settings and soft targets."""
    from edgedistil.data import LabelledTexts, MultiLabelTexts, MultiLabelTrainingData, TrainingData
    from edgedistil.training import FROM_SCRATCH
    from edgedistil.training.objective import SoftTargets

    parts = [texts_of(seed, count) for seed, count in ((0, 29), (1, 70))]
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


def run(case, team=None, checkpoint=None):
    """Trains, and returns losses of steps and epochs, decisions and the sum of the weights."""
    from edgedistil.sizes import BackboneSize
    from edgedistil.training.callbacks import ProgressReporter
    from edgedistil.training.loop import train
    from edgedistil.training.start import from_scratch

    data, settings, soft = prepare(case)
    size = BackboneSize(num_layers=2, hidden_dim=16, num_heads=2, intermediate_dim=32)
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
