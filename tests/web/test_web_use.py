"""The page as people use it: they type on while it runs, change the model meanwhile, and have many processors."""

import pytest

from .conftest import FP32_TOLERANCE, INT8_TOLERANCE, TEXTS, check_answers, needs_npm

pytestmark = needs_npm


def test_web_of_many_texts_typed_during_a_run_the_last_is_answered(scenario):
    told = scenario("typing")
    runs, first, last = told["seen"]
    assert (runs, first, last) == (2, "on " * 200, TEXTS["capitals"])  # of 217 texts
    assert (told["label"], told["error"]) == (told["due"]["label"], "")


def test_web_model_dropped_while_a_text_waits(scenario, other):
    told = scenario("switching")
    assert told["error"] == ""
    assert "tiny_preset" in told["facts"]
    check_answers([told["row"]], other, FP32_TOLERANCE, count=1)


def test_web_model_refused_right_after_it_was_loaded_does_not_block_the_page(scenario, bundled):
    """All threads of the models fit into the workers that LiteRT.js starts with, also with more processors."""
    told = scenario("processors")
    workers, processors = told["workers"]
    assert workers == processors == 8
    assert [bool(error) for error in told["errors"]] == [True, False, True, False]
    assert "threads on (5 of 8 processors)" in told["facts"]
    check_answers([told["row"]], bundled, INT8_TOLERANCE, count=1)


@pytest.mark.parametrize("name", ["int4", "gpu"])
def test_web_other_kinds_of_files_run_on_webassembly(scenario, name, kinds):
    told = scenario("kinds")[name]
    assert told["error"] == ""
    assert ("not used: this browser has no WebGPU device" in told["facts"]) == (name == "gpu")
    check_answers(told["rows"], kinds[name], FP32_TOLERANCE if name == "gpu" else INT8_TOLERANCE)
