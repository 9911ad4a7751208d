"""The encoder that `build_gpu_encoder` makes computes the same on GPU and CPU, for every length and scheme."""

from functools import cache

import numpy as np
import pytest

from edgedistil_converters.quantization.plan import QuantizationPlan

TOLERANCE = {"fp32": 1e-5, "fp16": 1e-5, "int8": 0.02}
"""Tolerance of a probability. GPUs convert int8 weights to float; CPUs round activations to int8 as well."""
PRESET_LENGTHS = (16, 32, 48)
TEXTS = (
    "turn on the light in the kitchen",
    "is it going to rain tomorrow?",
    "",
    "play some jazz, and then please wake me up at half past six in the morning on monday",
    "turn off all of the lights in the living room and in the kitchen, close the blinds, lock the front door, "
    "and set the thermostat to nineteen degrees before I go to bed tonight",
)


@pytest.fixture(scope="module")
def tiny_parts(tiny_classifier):
    """`tiny_parts("fp32")` is the tiny classifier for a GPU, converted once."""
    return _parts(tiny_classifier)


@pytest.fixture(scope="module")
def preset():
    from edgedistil.presets.loading import load_labelled_classifier

    return load_labelled_classifier("smart_home_tiny_en").classifier


@pytest.fixture(scope="module")
def preset_parts(preset):
    """`preset_parts("fp32")` is the bundled preset for a GPU, converted once."""
    return _parts(preset)


def _parts(classifier):
    from edgedistil_converters.model.keras_hub import read_weights
    from edgedistil_converters.targets.gpu import build_gpu_encoder
    from edgedistil_converters.tokenizer.settings import read_tokenizer

    weights, length = read_weights(classifier), read_tokenizer(classifier.preprocessor)[0].sequence_length
    return cache(lambda scheme: build_gpu_encoder(weights, length, QuantizationPlan(scheme)))


def embedded(classifier, parts, rows, pad_id):
    """Return the encoder's inputs for rows of token ids, as `run_on` takes them."""
    from edgedistil_converters.model.keras_hub import read_weights
    from edgedistil_converters.targets.parts import padded_row
    from edgedistil_runtime.backends.encoders import encoder_signature

    weights, calls, inputs = read_weights(classifier), [], {}
    for row in rows:
        length = next(length for length in parts.lengths if length >= len(row))
        ids = padded_row(row, length, pad_id)[0]
        embeddings = weights.token_embeddings[ids] + weights.position_embeddings[:length]
        made = parts.inputs(embeddings, (ids != pad_id).astype(np.float32))
        calls.append({name: np.asarray(values) for name, values in made.items()})
    for length in sorted({call["embeddings"].shape[1] for call in calls}):
        of_this = [call for call in calls if call["embeddings"].shape[1] == length]
        for name in of_this[0]:
            inputs[f"{encoder_signature(length)}/{name}"] = np.stack([call[name] for call in of_this])
    return inputs


def compare(run_on, parts, inputs, tolerance):
    """Run on both, compare, and return the GPU's outputs."""
    due = run_on("cpu", parts.flatbuffer, inputs)
    run = run_on("gpu", parts.flatbuffer, inputs)
    assert (run.returncode, run.error, run.is_fully_accelerated) == (0, None, True)
    assert run.outputs.keys() == due.outputs.keys() == {name.split("/")[0] + "/probabilities" for name in inputs}
    for name, values in run.outputs.items():
        np.testing.assert_allclose(values.sum(axis=-1), 1, atol=1e-5, err_msg=name)
        np.testing.assert_allclose(values, due.outputs[name], rtol=0, atol=tolerance, err_msg=name)
    return run.outputs


@pytest.mark.parametrize("scheme", TOLERANCE)
def test_the_tiny_classifier(run_on, tiny_classifier, tiny_parts, scheme):
    from edgedistil_converters.verification.keras_answers import answer_with_keras

    answers = answer_with_keras(tiny_classifier, TEXTS)
    parts, pad_id = tiny_parts(scheme), tiny_classifier.preprocessor.tokenizer.pad_token_id
    outputs = compare(
        run_on, parts, embedded(tiny_classifier, parts, [a.token_ids for a in answers], pad_id), TOLERANCE[scheme]
    )
    if scheme == "fp32":
        [probabilities] = outputs.values()
        np.testing.assert_allclose(probabilities[:, 0], [a.probabilities for a in answers], rtol=0, atol=1e-5)


def test_the_bundled_preset(run_on, preset, preset_parts):
    """All lengths, and a text that is cut; the first run compiles the shaders of all lengths."""
    from edgedistil_converters.verification.keras_answers import answer_with_keras

    answers = sorted(answer_with_keras(preset, TEXTS), key=lambda answer: len(answer.token_ids))  # as outputs come
    parts = preset_parts("fp32")
    assert parts.lengths == PRESET_LENGTHS
    inputs = embedded(preset, parts, [a.token_ids for a in answers], preset.preprocessor.tokenizer.pad_token_id)
    outputs = compare(run_on, parts, inputs, TOLERANCE["fp32"])
    assert len(outputs) == len(PRESET_LENGTHS)
    probabilities = np.concatenate([values[:, 0] for values in outputs.values()])
    np.testing.assert_allclose(probabilities, [a.probabilities for a in answers], rtol=0, atol=1e-5)
