"""The page of `web_demo` in a real headless Chromium, beside the runtime's own answers."""

import pytest

from .conftest import FP32_TOLERANCE, INT8_TOLERANCE, LARGEST_PAGE, check_answers, needs_npm

pytestmark = needs_npm


def test_web_bundled_model_answers_as_the_runtime_does(scenario, bundled):
    answers = scenario("answers")
    check_answers(answers["rows"], bundled, INT8_TOLERANCE)
    assert "smart_home_tiny_en" in answers["facts"]
    assert answers["isIsolated"]


def test_web_dropped_model_answers_as_the_runtime_does(scenario, other):
    answers = scenario("otherModel")
    assert answers["error"] == ""
    assert "tiny_preset" in answers["facts"]
    check_answers(answers["rows"], other, FP32_TOLERANCE)


def test_web_page_asks_nobody_else_and_breaks_no_rule_of_its_own(scenario):
    for name in ("answers", "otherModel", "explanations", "looks"):
        assert scenario(name)["log"] == {"errors": [], "foreign": []}, name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("foreign", "EdgeDistil did not write this TFLite model"),
        ("flipped", "The file is damaged"),
        ("truncated", "has not arrived whole"),
        ("followed", "has not arrived whole"),
        ("text", "This is no TFLite model"),
        ("empty", "This is no TFLite model"),
        ("disagreeing", "This browser computes something else"),
        ("tokenizer", "The model's tokenizer is none"),
        ("archive", "This is no TFLite model"),
        ("npu", "converted for an NPU: it takes token ids and no text. Convert again without --target npu"),
        ("edgetpu", "it has int8 signatures, which LiteRT.js does not take. Convert again without --target edgetpu"),
        ("folder", "It cannot be read: it is a folder"),
        ("exchanged", "The model is not the one that edgedistil.json describes"),
    ],
)
def test_web_file_is_refused_and_the_model_before_stays(scenario, name, reason):
    refusals = scenario("refusals")
    told = refusals["errors"][name]
    assert told["error"].startswith(f"{name}.tflite was not used. ")
    assert reason in told["error"]
    assert told["after"] == scenario("answers")["rows"][0]
    assert told["errorAfterwards"] == ""
    assert "smart_home_tiny_en" in refusals["facts"]


def test_web_two_files_at_once_are_refused(scenario):
    assert "one file at a time" in scenario("refusals")["two"]


def test_web_page_works_without_its_server_after_one_visit(scenario):
    due = scenario("answers")["rows"][0]
    assert scenario("offline") == {"first": due, "second": due}


def test_web_new_build_replaces_the_stored_one(scenario):
    update = scenario("update")
    assert "tiny_preset" in update["facts"]
    assert update["caches"] == [1, 1]


@pytest.mark.parametrize("screen", ["desktop", "dark", "phone", "narrow", "error", "several"])
def test_web_screen_is_accessible_and_not_too_wide(scenario, screen):
    assert scenario("looks")["screens"][screen] == {"overflow": 0, "violations": []}


def test_web_keyboard_reaches_everything(scenario):
    keyboard = scenario("keyboard")
    assert keyboard["reached"][:2] == ["Use your own model", "text"]
    assert {"more", "explain", "file"} <= set(keyboard["reached"])
    assert keyboard["text"] == keyboard["example"] != ""


def test_web_text_that_is_too_long_is_cut_and_that_is_said(scenario):
    keyboard = scenario("keyboard")
    assert (keyboard["length"], keyboard["isCut"]) == (20_000, True)


def test_web_missing_model_leaves_room_for_another(scenario):
    told = scenario("failures")["model"]
    assert told["error"].startswith("The bundled model could not be fetched.")
    assert told["isFileOffered"]
    assert (told["state"], told["errorAfterDrop"]) == ("ready", "")


def test_web_missing_engine_is_told(scenario):
    told = scenario("failures")["engine"]
    assert told["error"].startswith("LiteRT, which runs the model, could not be started.")
    assert not told["isFileOffered"]
    assert told["state"] == "failed"
    assert "Reload the page" in told["errorAfterDrop"]


def test_web_page_is_light(scenario):
    files = scenario("weight")["files"]
    assert any(name.endswith(".wasm") for name in files)
    assert sum(size for name, size in files.items() if name != "/model.tflite") < LARGEST_PAGE
