"""The page on a software adapter of WebGPU."""

import pytest

from .conftest import FP32_TOLERANCE, check_answers, needs_npm

pytestmark = needs_npm


@pytest.fixture
def on_gpu(scenario):
    told = scenario("webgpu")
    if not told["hasAdapter"]:
        pytest.skip("This Chromium has no WebGPU adapter, not even SwiftShader")
    return told


def test_web_gpu_refuses_the_tokenizer(on_gpu):
    """Why WebGPU runs a part of a file; if this fails one day, it can run all of it."""
    assert on_gpu["isRefused"], "LiteRT.js now runs classify_text on WebGPU"


def test_web_gpu_answers_as_the_runtime_does(on_gpu, for_gpu):
    assert on_gpu["processor"] == "WebGPU"
    assert "WebGPU; the tokenizer on WebAssembly" in on_gpu["facts"]
    check_answers(on_gpu["rows"], for_gpu, FP32_TOLERANCE)


def test_web_gpu_that_computes_something_else_is_not_used(on_gpu, for_gpu):
    assert on_gpu["wrong"]["processor"] == "WebAssembly"
    assert "not used: its answers differ" in on_gpu["wrong"]["facts"]
    check_answers([on_gpu["wrong"]["row"]], for_gpu, FP32_TOLERANCE, count=1)


def test_web_gpu_starts_no_more_workers_than_there_are_processors(on_gpu):
    workers, processors = on_gpu["workers"]
    assert workers == processors


def test_web_gpu_takes_rows_of_fixed_length_whole(on_gpu, for_npu, token_rows):
    from edgedistil_runtime import TextClassifier

    fixed = on_gpu["fixed"]
    assert fixed["isWhole"]
    assert sorted(fixed["lengths"]) == [16, 32, 48]
    with TextClassifier(for_npu) as classifier:
        for row, due in zip(fixed["rows"], classifier.classify_tokens(token_rows), strict=True):
            assert row == pytest.approx(list(due.probabilities.values()), abs=FP32_TOLERANCE)


def test_web_without_a_gpu_webassembly_answers(scenario, for_gpu):
    told = scenario("fallback")
    assert (told["processor"], told["error"]) == ("WebAssembly", "")
    check_answers([told["row"]], for_gpu, FP32_TOLERANCE, count=1)
