"""Several workers: what is refused before any work, and each worker's share of a batch."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from edgedistil.cli import main
from edgedistil.training.workers import check_one_worker
from edgedistil_runtime.errors import InputError

ADDRESSES = [f"w{number}.invalid:1" for number in range(6)]
TASK = {"type": "worker", "index": 0}


@pytest.fixture
def in_cluster(monkeypatch):
    """Sets TF_CONFIG to some workers."""

    def set_workers(count):
        config = {"cluster": {"worker": ADDRESSES[:count]}, "task": TASK}
        monkeypatch.setenv("TF_CONFIG", json.dumps(config))

    return set_workers


def test_one_process_is_fine(in_cluster):
    in_cluster(1)
    check_one_worker("Do something else")


def test_several(in_cluster):
    in_cluster(6)
    with pytest.raises(
        InputError, match=r"names 6 \(w0.invalid:1, .*, w3.invalid:1, \.\.\.\), .* Do something else, or"
    ):
        check_one_worker("Do something else")


def invoke(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_distil_refuses_before_it_reads(in_cluster, tmp_path):
    in_cluster(2)
    data = tmp_path / "train.csv"
    data.write_text("")  # would be another error
    done = invoke("distil", "--train-data", data, "--teacher", tmp_path, "--budget-mb", "2", "-o", tmp_path / "out")
    assert done.exit_code == 1
    assert "Error: This runs in one process" in done.output
    assert "Use `edgedistil train` on several workers" in done.output
    assert [path.name for path in tmp_path.iterdir()] == ["train.csv"]


def test_train_refuses_a_malformed_variable_before_it_reads(monkeypatch, tmp_path):
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": ["a:1", "b:1"]}}')
    done = invoke("train", "--train-data", tmp_path / "missing.csv", "-o", tmp_path / "out")
    assert done.exit_code == 1
    assert "`task` must have the `type` and the `index` of this process" in done.output


def test_train_refuses_another_number_of_workers(in_cluster, tmp_path):
    in_cluster(2)
    done = invoke("train", "--train-data", tmp_path / "missing.csv", "-o", tmp_path / "out", "--workers", "3")
    assert done.exit_code == 2
    assert "names 2 workers, and --workers is 3" in done.output


def test_nothing_to_resume_is_found_before_workers_start(csv_file, tmp_path):
    done = invoke("train", "--train-data", csv_file, "-o", tmp_path / "out", "--workers", "2", "--resume")
    assert done.exit_code == 2
    assert "There is no interrupted training" in done.output


@pytest.mark.parametrize(
    ("option", "message"),
    [("--jit-compile", "not compiled with XLA (--jit-compile)"), ("--batch-size=1", "--batch-size must be at least")],
)
def test_train_refuses_what_workers_cannot_do(option, message, in_cluster, csv_file, tmp_path):
    in_cluster(2)  # unknown hosts: it would be another error to wait for them
    done = invoke("train", "--from-scratch", "tiny", "--train-data", csv_file, "-o", tmp_path / "out", option)
    assert done.exit_code == 1
    assert message in done.output


def test_training_in_python_refuses(in_cluster, tiny_classifier, texts):
    from edgedistil.training import fit

    in_cluster(2)
    with pytest.raises(InputError, match="TF_CONFIG names 2"):
        fit(tiny_classifier, texts.texts, texts.labels)


@pytest.fixture
def tokenized():
    from edgedistil.training.batches import TokenizedTexts

    lengths = np.random.default_rng(0).integers(3, 12, 29)
    mask = (np.arange(12) < lengths[:, None]).astype("int32")
    ids = mask * np.arange(100, 100 + 29 * 12, dtype="int32").reshape(29, 12)
    return TokenizedTexts(ids, mask, lengths)


@pytest.mark.parametrize("size", [2, 3])
def test_shares_make_up_the_batch(tokenized, size):
    """Also the tokens that are dropped, and the last batch of one text."""
    from edgedistil.training.batches import training_batches

    options = {"batch_size": 7, "seed": 3, "token_dropout": 0.3, "unknown_id": 1}
    targets, vectors = np.arange(29), {"vectors": np.arange(58, dtype="float32").reshape(29, 2)}

    def batches(share):
        return list(training_batches(tokenized, targets, vectors=vectors, share=share, **options).as_numpy_iterator())

    whole = batches(None)
    shares = [batches((index, size)) for index in range(size)]
    assert sorted(len(targets) for _, targets, _ in whole) == [1, 7, 7, 7, 7]
    for number, (inputs, expected, _) in enumerate(whole):
        lengths = {}
        for share in shares:
            own, found, weights, total = share[number]
            assert total == len(expected)
            assert len(weights) == len(found)
            for row, target in enumerate(found.tolist()):
                lengths[target] = own["token_ids"][row][own["padding_mask"][row] == 1].tolist()
                assert own["vectors"][row].tolist() == [2 * target, 2 * target + 1]
        given = {
            target: inputs["token_ids"][row][inputs["padding_mask"][row] == 1].tolist()
            for row, target in enumerate(expected.tolist())
        }
        assert lengths == given


def test_shares_have_about_as_many_tokens(tokenized):
    from edgedistil.training.batches import training_batches

    tokens = [
        sum(int(inputs["padding_mask"].sum()) for inputs, *_ in batches.as_numpy_iterator())
        for index in range(2)
        if (batches := training_batches(tokenized, np.arange(29), batch_size=14, seed=0, share=(index, 2)))
    ]
    assert abs(tokens[0] - tokens[1]) / sum(tokens) < 0.1


def test_outputs_of_shares_make_up_all(tokenized):
    from edgedistil.training import network

    def run(batch):
        import tensorflow as tf

        return tf.cast(tf.reduce_sum(batch["token_ids"], 1, keepdims=True), tf.float32)

    whole = network.outputs_of(run, tokenized)
    shares = [network.outputs_of(run, tokenized, share=(index, 2)) for index in range(2)]
    np.testing.assert_array_equal(sum(shares), whole)
    assert not shares[1].any()  # 29 texts are one batch, of worker 0


class StandInTeam:
    """A team whose worker 0 sends sevens."""

    def __init__(self, *, is_chief):
        self.is_chief, self.sent, self.compared = is_chief, [], {}

    def check_equal(self, facts):
        self.compared |= facts

    def array_from_chief(self, values):
        self.sent.append(values)
        return values if self.is_chief else np.full((2, 3), 7, "float32")


@pytest.mark.parametrize("is_chief", [True, False])
def test_one_worker_asks_a_shared_teacher(is_chief):
    from edgedistil.distillation.answering import AnyTeacher

    class Ones(AnyTeacher):
        name, labels, digest = "ones", ("a", "b", "c"), "of it"
        asked = 0

        def coverage(self, texts):
            return None

        def _answer(self, texts, kind):
            self.asked += len(texts)
            return np.ones((len(texts), 3), "float32")

    teacher, team = Ones(), StandInTeam(is_chief=is_chief)
    teacher.share(team)
    assert team.compared == {"the teacher (`teacher`)": b"of it"}
    answers = teacher.logits(["x", "y"], ["c", "a", "b"])
    assert (answers == (1 if is_chief else 7)).all()
    assert teacher.asked == (2 if is_chief else 0)
    assert [len(values) for values in team.sent] == [2 if is_chief else 0]
