"""Models that LiteRT's GPU code loads, reports as accelerated, and computes wrongly without an error.

If one of these tests fails, LiteRT has fixed that case, and `targets/gpu.py` need no longer avoid it.
"""

import numpy as np
import pytest

TOLERANCE = 1e-5
WRONG = 0.05  # a difference of probabilities that no rounding explains


@pytest.fixture
def largest_difference(run_on):
    """Largest difference of a model's probabilities between GPU and CPU, and its run on the GPU."""

    def compare(encoder, accelerator="gpu"):
        due = run_on("cpu", encoder.flatbuffer, encoder.inputs).outputs[encoder.output]
        assert np.ptp(due, axis=0).max() > WRONG  # the calls' answers differ, so that a wrong one is seen
        run = run_on(accelerator, encoder.flatbuffer, encoder.inputs)
        assert (run.returncode, run.error, run.is_fully_accelerated) == (0, None, True)
        return float(np.abs(run.outputs[encoder.output] - due).max()), run

    return compare


def test_a_sound_encoder_is_right(largest_difference, sound_encoder):
    assert largest_difference(sound_encoder)[0] < TOLERANCE


@pytest.mark.parametrize("accelerator", ["gpu", "gpu+cpu"])
@pytest.mark.parametrize("name", ["encoder_with_matrix", "encoder_with_two_ranks"])
def test_a_constant_added_at_rank_2_is_wrong(request, largest_difference, name, accelerator):
    assert largest_difference(request.getfixturevalue(name), accelerator)[0] > WRONG


@pytest.mark.parametrize("accelerator", ["gpu", "gpu+cpu"])
def test_full_int8_is_wrong(largest_difference, encoder_in_int8, accelerator):
    difference, run = largest_difference(encoder_in_int8, accelerator)
    assert difference > WRONG
    assert "Error while parsing WGSL" in run.log  # a shader that does not compile: its results are zeros
    assert not run.outputs[encoder_in_int8.output].any()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("encoder_with_matrix", "constant matrix of rank 2"),
        ("encoder_with_two_ranks", "different ranks"),
        ("encoder_in_int8", "is not float32"),
    ],
)
def test_objections_are_raised_to_each(request, name, message):
    from edgedistil_converters.targets.gpu import gpu_objections

    encoder = request.getfixturevalue(name)
    assert any(message in objection for objection in gpu_objections(encoder.flatbuffer))


def test_no_objection_is_raised_to_the_sound_encoder(sound_encoder):
    from edgedistil_converters.targets.gpu import gpu_objections

    assert gpu_objections(sound_encoder.flatbuffer) == ()
