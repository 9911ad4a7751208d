"""Two workers train what one process trains with the same batches."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from .cases import CASES, run

# Sums in another order; the losses are between 0.1 and 4.
TOLERANCES = {"float32": 1e-5, "float64": 1e-12}
ROUNDED = 1e-6  # to six digits, in the history
EXACT = [name for name, case in CASES.items() if not case.changes.get("dropout")]


@pytest.fixture(scope="module")
def found(run_workers, tmp_path_factory):
    """What each of two workers returns."""
    folder = tmp_path_factory.mktemp("curves")
    script = Path(__file__).with_name("cases.py")
    results = [folder / f"{index}.json" for index in range(2)]
    ended = run_workers(*((script, path) for path in results))
    assert [code for code, _ in ended] == [0, 0], "\n".join(output for _, output in ended)
    return [json.loads(path.read_text(encoding="utf-8")) for path in results]


@pytest.fixture(scope="module")
def one_process():
    """What one process returns for a case."""
    return cache(lambda name: json.loads(json.dumps(run(CASES[name]), default=float)))


def test_all_workers_return_the_same(found):
    first, second = found
    assert set(first) == set(CASES)
    assert first == second  # weights, losses, decisions: to the last bit


@pytest.mark.parametrize("name", EXACT)
def test_losses_are_those_of_one_process(name, found, one_process):
    together, one, tolerance = found[0][name], one_process(name), TOLERANCES[CASES[name].precision]
    np.testing.assert_allclose(together["steps"], one["steps"], rtol=0, atol=tolerance)
    assert len(together["steps"]) == len(one["steps"]) > 2
    assert together["best_epoch"] == one["best_epoch"]
    for epoch, expected in zip(together["history"], one["history"], strict=True):
        assert epoch == pytest.approx(expected, abs=tolerance + 1.1 * ROUNDED)
    for part, metrics in one["metrics"].items():
        assert together["metrics"][part] == pytest.approx(metrics, abs=tolerance + 1.1 * ROUNDED)
    np.testing.assert_allclose(together["thresholds"], one["thresholds"], atol=1e-4)
    np.testing.assert_allclose(together["weights"], one["weights"], rtol=10 * tolerance, atol=100 * tolerance)


def test_a_training_ends_early_alike(found, one_process):
    assert len(one_process("early end")["history"]) < CASES["early end"].changes["epochs"]
    assert len(found[0]["early end"]["history"]) == len(one_process("early end")["history"])


def test_dropout_is_drawn_anew_and_does_as_much(found, one_process):
    """Other values are dropped; how much is learned is the same within what another seed changes."""
    together, one = found[0]["dropout"]["history"], one_process("dropout")["history"]
    losses = [[epoch["loss"] for epoch in some] for some in (together, one)]
    assert losses[0] != losses[1]
    np.testing.assert_allclose(*losses, rtol=0.1)
