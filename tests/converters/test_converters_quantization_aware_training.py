"""Quantization-aware training: the mirror is the edge graph, its grid is int8's, and it learns."""

import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest

from edgedistil_converters.model.named_arrays import named_arrays
from edgedistil_converters.preparation.quantization_aware.job import CHECKPOINT, read_result, write_job
from edgedistil_converters.quantization.ranges import ATTENTION_RANGE
from edgedistil_converters.sites import activation_sites

from ..conftest import HANG
from .quantization_aware_jobs import JOB, MIXED, ONE_OUTPUT, make_job, make_weights, sigmoid, softmax, train

pytestmark = pytest.mark.training

STEPS = 4  # of an epoch
needs_tfmot = pytest.mark.skipif(
    find_spec("tensorflow_model_optimization") is None or find_spec("tf_keras") is None,
    reason="tensorflow-model-optimization or tf-keras is not installed",
)
# TFMOT never enters this process: what looks inside the mirror runs in a child, once, and leaves arrays.
PROBE = """
import sys
from dataclasses import replace
from pathlib import Path
import numpy as np
import tensorflow_model_optimization
import tensorflow as tf
import tf_keras
from edgedistil_converters.graph.embeddings import embedding_table
from edgedistil_converters.graph.classifier import EdgeGraph
from edgedistil_converters.preparation.quantization_aware.batches import Texts
from edgedistil_converters.preparation.quantization_aware.job import read_job, read_result
from edgedistil_converters.preparation.quantization_aware.losses import text_losses
from edgedistil_converters.preparation.quantization_aware.mirror import build_mirror, quantize
from edgedistil_converters.preparation.quantization_aware.settings import QATSettings
from edgedistil_converters.preparation.quantization_aware.training import calibrate, train

out = {}
for name in ("mixed", "no_layers", "bert", "two_layers"):
    job = read_job(Path(name))
    weights, texts = job.weights, Texts(job.data, job.weights, job.pad_id)
    mirror = build_mirror(weights, job.pad_id, job.weight_dtypes)
    ids = texts.batch(np.arange(len(job.data))).token_ids
    tables = [getattr(weights, name) for name in ("token_embeddings", "position_embeddings")]
    dtypes = [job.weight_dtypes[name] for name in ("token_embeddings", "position_embeddings")]
    graph = EdgeGraph(weights, *map(embedding_table, tables, dtypes))
    out[name + "/mirror"] = tf.nn.softmax(mirror.model(ids))
    out[name + "/graph"] = graph.classify_batch(tf.constant(ids), job.pad_id)
    if name == "mixed":
        quantized = quantize(mirror, calibrate(mirror, texts, [np.arange(len(job.data))]))
        for site in ("pooled_dense", "logits"):
            dense = quantized.model.get_layer(f"{site}/dense")
            rows = np.eye(weights.width, dtype=np.float32)
            out[f"mixed/{site}"] = dense(rows, training=False) - dense(0 * rows, training=False)
    if name == "bert":
        quantized = quantize(mirror, calibrate(mirror, texts, [np.arange(len(job.data))]))
        out["bert/quantized"] = tf.nn.softmax(quantized.model(ids, training=False))
        out["bert/tanh"] = quantized.ranges()["pooled_tanh"]
    if name != "two_layers":
        continue

    class Padded:
        def __init__(self, columns):
            self.columns = columns

        def batch(self, rows):
            batch = texts.batch(rows)
            more = np.full((len(rows), self.columns), job.pad_id, np.int32)
            return type(batch)(np.concatenate([batch.token_ids, more], axis=1), batch.targets, batch.teacher)

    short = np.flatnonzero([len(row) < 8 for row in job.data.token_ids])
    for columns in (0, 6):
        ranges = calibrate(mirror, Padded(columns), [short])
        out[f"ranges/{columns}"] = [*ranges.ranges.values(), *((floor, 0) for floor in ranges.floors.values())]
    scores = tf_keras.Model(mirror.model.input, mirror.sites["transformer_layer_0/scores"])
    singles = [scores(np.asarray([job.data.token_ids[index]], np.int32)).numpy() for index in short]
    out["least_needed"] = min(values.max(axis=-1).min() for values in singles)
    out["floors"] = [ranges.floors[f"transformer_layer_0/{site}"] for site in ("scores", "intermediate")]
    quantized = quantize(mirror, calibrate(mirror, texts, [np.arange(len(job.data))]))
    out["quantized"] = tf.nn.softmax(quantized.model(ids, training=False))
    out["floored"] = [quantized.ranges()[f"transformer_layer_0/{site}"] for site in ("scores", "intermediate")]
    dense = quantized.model.get_layer("pooled_dense/dense")
    rows = np.eye(weights.width, dtype=np.float32)
    out["kernel"] = dense(rows, training=False) - dense(0 * rows, training=False)
    site = quantized.model.get_layer("pooled_dense")
    out["values"] = np.linspace(-1, 9, 1001, dtype=np.float32)
    out["rounded"] = site(out["values"][None], training=False)[0]
    out["site"] = quantized.ranges()["pooled_dense"]

logits = tf.constant([[1.0, -2.0, 0.5], [0.0, 3.0, -1.0]])
teacher = tf.constant([[2.0, 0.0, 0.0], [-1.0, 1.0, 0.3]])
settings = QATSettings(temperature=3.0, distillation_weight=0.25)
for is_sigmoid in (False, True):
    out[f"loss/{is_sigmoid}"] = text_losses(logits, tf.constant([0, 2]), teacher, settings, is_sigmoid=is_sigmoid)
out["loss/one"] = text_losses(
    logits[:, :1], tf.constant([0, 1]), logits[:, :1], settings, is_sigmoid=True
)

events = []


def interrupt(epoch, step, steps, loss):
    if (epoch, step) == (2, 2):
        raise KeyboardInterrupt


train(read_job(Path("trained")), Path("trained"), lambda *event: events.append(event))
try:
    train(read_job(Path("interrupted")), Path("interrupted"), interrupt)
except KeyboardInterrupt:
    pass
out["events"] = events

job = read_job(Path("one_output"))
ids = Texts(job.data, job.weights, job.pad_id).batch(np.arange(len(job.data))).token_ids


def answers(weights):
    tables = [embedding_table(table, "fp32") for table in (weights.token_embeddings, weights.position_embeddings)]
    return EdgeGraph(weights, *tables).classify_batch(tf.constant(ids), job.pad_id).numpy()


odds = answers(job.weights) / (1 - answers(job.weights))
even = replace(job.weights.logits, bias=job.weights.logits.bias - np.log(np.median(odds)))  # half of the texts are yes
weights = replace(job.weights, logits=even)
teacher = answers(weights)
data = replace(job.data, targets=(teacher[:, 0] > 0.5).astype(np.int32), teacher=teacher)
job = replace(job, weights=weights, data=data)
train(job, Path("one_output"), lambda *event: None)
result = read_result(Path("one_output"), job)
out["one_output"] = np.concatenate([teacher, answers(result.weights)], axis=1)
out["one_output/accuracies"] = [epoch.accuracy for epoch in result.history]
np.savez("out.npz", **{key: np.asarray(value) for key, value in out.items()})
"""


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    """What a child saw in the mirror of two classifiers; it trained one too, with a break and without."""
    folder = tmp_path_factory.mktemp("probe")
    jobs = {
        "two_layers": JOB,
        "no_layers": make_job(make_weights(num_layers=0)),
        "mixed": make_job(plan=MIXED),
        "bert": make_job(replace(make_weights(), pooled_activation="tanh", is_gelu_approximate=True)),
        "trained": JOB,
        "interrupted": JOB,
        "one_output": ONE_OUTPUT,
    }
    for name, job in jobs.items():
        (folder / name).mkdir()
        write_job(folder / name, job)
    done = subprocess.run([sys.executable, "-c", PROBE], cwd=folder, capture_output=True, text=True, timeout=HANG)
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(folder / "out.npz") as arrays:
        found = {name: arrays[name] for name in arrays.files}
    return {**found, "folder": folder}


@pytest.fixture(scope="module")
def trained(probe):
    """The result of a run without a break, and what it reported."""
    result = read_result(probe["folder"] / "trained", JOB)
    return result, [(int(epoch), int(step), int(steps), loss) for epoch, step, steps, loss in probe["events"]]


@needs_tfmot
@pytest.mark.parametrize("name", ["two_layers", "no_layers", "mixed", "bert"])
def test_the_mirror_is_the_edge_graph(probe, name):
    due = probe[f"{name}/graph"]
    assert due.max() - due.min() > 0.3  # not a classifier that says the same of everything
    np.testing.assert_allclose(probe[f"{name}/mirror"], due, atol=1e-6)


@needs_tfmot
def test_padding_leaves_no_trace_in_the_ranges(probe):
    np.testing.assert_allclose(probe["ranges/6"], probe["ranges/0"], rtol=1e-5, atol=1e-6)


@needs_tfmot
def test_ranges_reach_no_further_down_than_softmax_and_gelu_can_tell(probe):
    """Padding has no say in it: what is due was found text by text."""
    np.testing.assert_allclose(probe["floors"], [probe["least_needed"] - 12, -4], rtol=1e-5)
    scores, intermediate = probe["floored"]
    assert -20 < scores[0] < 0 < scores[1]  # and not the -120 of the mask
    assert -4.1 < intermediate[0] < -3.5


@needs_tfmot
def test_kernels_lie_on_the_grid_of_int8(probe):
    kernel = make_weights().pooled_dense.kernel
    scale = np.abs(kernel).max(axis=0) / 127
    points = probe["kernel"] / scale
    np.testing.assert_allclose(points, np.rint(points), atol=1e-3)
    np.testing.assert_allclose(np.abs(points).max(axis=0), 127, atol=1e-3)
    assert np.abs(probe["kernel"] - kernel).max() <= scale.max() * 0.501
    assert np.abs(probe["kernel"] - kernel).max() > scale.max() * 0.1  # they were rounded


@needs_tfmot
def test_kernels_that_a_plan_takes_out_are_not_rounded(probe):
    np.testing.assert_allclose(probe["mixed/pooled_dense"], make_weights().pooled_dense.kernel, atol=1e-6)
    kernel = make_weights().logits.kernel
    assert np.abs(probe["mixed/logits"] - kernel).max() > np.abs(kernel).max() / 127 * 0.1


@needs_tfmot
def test_tables_are_those_of_the_plan(probe):
    """int4 rows are far enough from int8 rows to tell them apart."""
    assert np.abs(probe["mixed/mirror"] - probe["two_layers/mirror"]).max() > 1e-3


@needs_tfmot
def test_a_site_rounds_to_the_grid_that_its_range_says(probe):
    lowest, highest = probe["site"]
    scale = (highest - lowest) / 255
    due = np.clip(np.rint(probe["values"] / scale), np.rint(lowest / scale), np.rint(highest / scale)) * scale
    assert lowest == 0 < highest < 9
    difference = np.abs(probe["rounded"] - due)
    assert np.median(difference) < 1e-6
    assert difference.max() < scale * 1.001  # a tie may go the other way


@needs_tfmot
def test_int8_changes_the_answers_little_and_changes_them(probe):
    difference = np.abs(probe["quantized"] - probe["two_layers/graph"])
    assert 1e-5 < difference.mean() < 0.02


@needs_tfmot
def test_the_range_of_a_tanh_is_that_of_its_kernel(probe):
    assert probe["bert/tanh"].tolist() == [-1.0, 127 / 128]
    difference = np.abs(probe["bert/quantized"] - probe["bert/graph"])
    assert 0 < difference.max() < 0.3


@needs_tfmot
def test_losses_are_those_of_the_papers(probe):
    logits = np.asarray([[1.0, -2.0, 0.5], [0.0, 3.0, -1.0]])
    teacher = np.asarray([[2.0, 0.0, 0.0], [-1.0, 1.0, 0.3]])
    due = softmax(teacher / 3)
    soft = (due * np.log(due / softmax(logits / 3))).sum(axis=1)
    hard = -np.log(softmax(logits)[[0, 1], [0, 2]])
    np.testing.assert_allclose(probe["loss/False"], 0.75 * hard + 0.25 * 9 * soft, rtol=1e-5)

    one_hot, due, found = np.eye(3)[[0, 2]], sigmoid(teacher / 3), sigmoid(logits / 3)
    soft = (due * np.log(due / found) + (1 - due) * np.log((1 - due) / (1 - found))).mean(axis=1)
    found = sigmoid(logits)
    hard = -(one_hot * np.log(found) + (1 - one_hot) * np.log(1 - found)).mean(axis=1)
    np.testing.assert_allclose(probe["loss/True"], 0.75 * hard + 0.25 * 9 * soft, rtol=1e-5)

    found = sigmoid(logits[:, 0])  # one output, and a teacher that says the same: the targets 0 and 1 alone count
    np.testing.assert_allclose(probe["loss/one"], -0.75 * np.log([1 - found[0], found[1]]), rtol=1e-5)


@needs_tfmot
def test_training_lowers_the_loss_and_reports_every_step(trained):
    result, events = trained
    assert [entry.epoch for entry in result.history] == [0, 1, 2]
    assert result.history[2].loss < result.history[1].loss < result.history[0].loss
    assert [event[:3] for event in events] == [(e, s, STEPS) for e in (1, 2) for s in range(1, STEPS + 1)]
    assert all(np.isfinite(event[3]) for event in events)


@needs_tfmot
def test_one_output_is_trained_towards_the_label_that_it_means(probe):
    """Target 1 is the label that the probability is of: training with targets turned around would turn it too."""
    before, after = probe["one_output"].T
    accuracies = probe["one_output/accuracies"]
    assert accuracies[0] > 0.9 and accuracies[-1] >= accuracies[0]
    is_clear = np.abs(before - 0.5) > 0.05
    assert 10 < (before > 0.5)[is_clear].sum() < is_clear.sum() - 10  # both labels
    np.testing.assert_array_equal(after[is_clear] > 0.5, before[is_clear] > 0.5)


@needs_tfmot
def test_all_but_the_embedding_tables_is_trained(trained):
    before, after = make_weights(), trained[0].weights
    np.testing.assert_array_equal(after.token_embeddings, before.token_embeddings)
    np.testing.assert_array_equal(after.position_embeddings, before.position_embeddings)
    assert after.layers[1].output_norm.epsilon == before.layers[1].output_norm.epsilon
    arrays = named_arrays(after)
    unmoved = [name for name, array in named_arrays(before).items() if np.array_equal(array, arrays[name])]
    assert unmoved == []


@needs_tfmot
def test_every_site_has_a_range_around_0(trained):
    ranges = trained[0].ranges
    assert tuple(ranges) == activation_sites(2)
    assert all(low <= 0 <= high and 0.01 < high - low < 50 for low, high in ranges.values())
    for low, high in ranges.values():
        zero_point = -low / ((high - low) / 255)
        assert zero_point == pytest.approx(round(zero_point), abs=1e-6)
    assert {ranges[f"transformer_layer_{index}/attention"] for index in range(2)} == {ATTENTION_RANGE}
    assert -0.2 < ranges["transformer_layer_0/gelu"][0] < 0  # GELU is never below -0.17
    assert ranges["pooled_dense"][0] == 0


@needs_tfmot
def test_an_interrupted_run_goes_on_and_ends_as_one_without_a_break(probe, trained):
    folder = probe["folder"] / "interrupted"
    assert (folder / CHECKPOINT).exists() and read_result(folder, JOB) is None
    events = []
    resumed = train(folder, on_progress=lambda *event: events.append(event))
    assert events == trained[1][STEPS:]
    assert resumed.ranges == trained[0].ranges
    assert resumed.history == trained[0].history
    for name, array in named_arrays(resumed.weights).items():
        np.testing.assert_array_equal(array, named_arrays(trained[0].weights)[name], err_msg=name)

    again = train(folder, on_progress=lambda *event: pytest.fail("training was done"))
    assert again.history == resumed.history
