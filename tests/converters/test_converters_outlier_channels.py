"""Outlier channels of residuals: the classifier stays the same in float, and static int8 keeps its answers."""

from dataclasses import replace

import numpy as np
import pytest

from edgedistil_converters import QuantizationPlan
from edgedistil_converters.flatbuffer import convert_module
from edgedistil_converters.interface import ModelInterface
from edgedistil_converters.model.float_outputs import float_probabilities
from edgedistil_converters.model.keras_hub import read_weights
from edgedistil_converters.preparation.outlier_channels import _peaks, _scale, scale_outlier_channels
from edgedistil_converters.quantization.observation import observed
from edgedistil_converters.quantization.observed_ranges import activation_ranges
from edgedistil_converters.signatures import DEFAULT_SHAPES, TextClassifierModule
from edgedistil_converters.tokenizer.settings import read_tokenizer

PEAK = 400.0
SITE = {"output": ("output", "output_norm"), "attention": ("attention_output", "attention_norm")}


def with_outlier(weights, dense, norm, channel=5):
    """A channel of a residual of the first layer gets +400; the layer norm passes the others on as if it had not."""
    parts, width = dict(weights.parts), weights.width
    added, after = parts[f"transformer_layer_0/{dense}"], parts[f"transformer_layer_0/{norm}"]
    bias, gamma, beta = added.bias.copy(), after.gamma.copy(), after.beta.copy()
    bias[channel] += PEAK
    mean, deviation = PEAK / width, PEAK * np.sqrt((1 / width) * (1 - 1 / width))
    beta += gamma * np.float32(mean)
    gamma *= np.float32(deviation)
    gamma[channel], beta[channel] = 0, 0.5
    parts[f"transformer_layer_0/{dense}"] = replace(added, bias=bias)
    parts[f"transformer_layer_0/{norm}"] = replace(after, gamma=gamma, beta=beta)
    return weights.with_parts(parts)


@pytest.fixture(scope="module")
def rows():
    generator = np.random.default_rng(0)
    return [[2, *generator.integers(5, 40, length).tolist(), 3] for length in generator.integers(2, 20, 48)]


@pytest.fixture(scope="module", params=SITE)
def outlying(request, classifier):
    return with_outlier(read_weights(classifier), *SITE[request.param])


def test_the_classifier_stays_the_same_and_the_channel_becomes_small(outlying, rows):
    scaled = scale_outlier_channels(outlying, rows)
    # Sums with numbers of 400 have errors of 1e-5 in float32, which gamma makes larger.
    np.testing.assert_allclose(float_probabilities(scaled, rows, 0), float_probabilities(outlying, rows, 0), atol=5e-3)
    before, after = _peaks(outlying, rows), _peaks(scaled, rows)
    [site] = [site for site, peaks in before.items() if peaks.max() > 300]
    assert after[site].max() < 5 * np.median(before[site])
    for other in set(before) - {site}:
        np.testing.assert_allclose(after[other], before[other], rtol=5e-3, atol=5e-3)


def test_weights_without_outliers_are_returned_as_they_are(classifier, rows):
    weights = read_weights(classifier)
    assert scale_outlier_channels(weights, rows) is weights


def test_channels_that_are_mostly_unused_are_left_as_they_are():
    assert _scale(np.array([0, 0, 0, 5], np.float32)) is None
    np.testing.assert_allclose(_scale(np.array([1, 1, 1, 20], np.float32)), [1, 1, 1, 5])


def static_difference(classifier, weights, rows):
    """Mean difference of the probabilities of a static int8 file from those of the weights in float."""
    plan = QuantizationPlan("int8-static")
    tokenizer = read_tokenizer(classifier.preprocessor)
    module = TextClassifierModule(weights, *tokenizer, plan, ModelInterface("none"))
    flatbuffer = convert_module(module, plan, DEFAULT_SHAPES, calibrate=lambda model: activation_ranges(model, rows))
    found = []
    with observed(flatbuffer) as model:
        for row in rows:
            model.run(row)
            logits = model.values(model.sites["logits"]).astype("float32")
            scale = model._interpreter.get_tensor_details(model.subgraph)[model.sites["logits"]]["quantization"]
            exponents = np.exp((logits[0] - scale[1]) * scale[0])
            found.append(exponents / exponents.sum())
    return float(np.abs(np.array(found) - float_probabilities(weights, rows, 0)).mean())


def test_static_int8_keeps_the_answers(classifier, outlying, rows):
    scaled = static_difference(classifier, scale_outlier_channels(outlying, rows), rows)
    assert scaled < 0.03 and 4 * scaled < static_difference(classifier, outlying, rows)
