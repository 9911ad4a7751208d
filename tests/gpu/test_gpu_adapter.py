"""The GPU that LiteRT finds, and the error if it finds none."""

import os

import numpy as np
import pytest


def test_the_adapter_is_the_one_that_was_asked_for(adapter):
    if os.environ.get("VK_DRIVER_FILES", "").endswith("lvp_icd.json"):
        assert adapter.startswith("llvmpipe")
        assert "vendor=mesa" in adapter
        assert "backend=Vulkan" in adapter
    else:
        assert "backend=" in adapter


def test_a_sound_encoder_runs_on_the_gpu(run_on, sound_encoder, adapter):
    run = run_on("gpu", sound_encoder.flatbuffer, sound_encoder.inputs)
    assert (run.returncode, run.error) == (0, None)
    assert run.is_fully_accelerated
    assert run.adapter == adapter
    probabilities = run.outputs[sound_encoder.output]
    assert probabilities.shape == (8, 1, 3)
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1, atol=1e-6)


@pytest.mark.parametrize("accelerator", ["gpu", "gpu+cpu"])
def test_without_an_adapter_nothing_runs(run_on, sound_encoder, accelerator):
    """Not on the CPU either: LiteRT does not fall back by itself."""
    nowhere = {"VK_DRIVER_FILES": os.devnull, "VK_ICD_FILENAMES": os.devnull}
    run = run_on(accelerator, sound_encoder.flatbuffer, sound_encoder.inputs, **nowhere)
    assert (run.returncode, run.adapter, run.outputs) == (0, "", {})
    assert "compiled_model" in run.error  # the whole message of the exception
    assert "No adapters found" in run.log


def test_the_cpu_needs_no_adapter(run_on, sound_encoder):
    run = run_on("cpu", sound_encoder.flatbuffer, sound_encoder.inputs, VK_DRIVER_FILES=os.devnull)
    assert run.error is None
    assert run.outputs[sound_encoder.output].shape == (8, 1, 3)
