"""The smart-home data: reproducible, balanced, and with a test split that training never saw a part of."""

import csv
import hashlib
import os
import random
import re
import subprocess
import sys
from collections import Counter

import pytest

from datasets.smart_home import (
    INTENTS,
    OUT_OF_SCOPE,
    SPLIT_SIZES,
    SPLITS,
    Example,
    generate,
    generate_training,
    noise,
    write_csv,
)
from datasets.smart_home.__main__ import main
from datasets.smart_home.grammar import Sentence, Slot, Template, Templates, expand, realize
from datasets.smart_home.slots import SLOTS
from datasets.smart_home.templates import TEMPLATES
from datasets.smart_home.training_words import MORE_TRAINING_WORDS
from edgedistil_runtime.errors import DataError, OutputError

MIN_TRAIN_WORDINGS = 40
MAX_TEXT_LENGTH = 200
FINGERPRINT = "71c3d063495ad04320665d6a63a351ec22a6c367d4f0fb43fe0eeb13e5eae4c0"
"""SHA-256 over the three splits of seed 0. When the grammar changes on purpose, update it and retrain the preset."""


def fingerprint(seed: int = 0) -> str:
    digest = hashlib.sha256()
    for split in SPLITS:
        for example in generate(split, seed=seed):
            digest.update(f"{example.label}\t{example.text}\n".encode())
    return digest.hexdigest()


def wordings(label: str, split: str) -> set[str]:
    return {wording for template in TEMPLATES[label].written_out(split) for wording in template.wordings}


def spoken(text: str) -> str:
    return re.sub(r"[^a-z0-9%]+", " ", text.lower()).strip()


def test_the_splits_are_the_pinned_ones():
    assert fingerprint() == FINGERPRINT


def test_files_are_identical_for_another_hash_seed(tmp_path):
    for hash_seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": hash_seed}
        command = [sys.executable, "-m", "datasets.smart_home", str(tmp_path / hash_seed)]
        subprocess.run(command, env=environment, check=True, capture_output=True)
    for split in SPLITS:
        first, second = ((tmp_path / folder / f"{split}.csv").read_bytes() for folder in ("1", "2"))
        assert first == second


def test_another_seed_gives_other_texts():
    default = generate("validation")
    assert generate("validation", seed=1) != default
    assert generate("validation") == default


@pytest.mark.parametrize("split", SPLITS)
def test_sizes_are_as_promised(split):
    counts = Counter(example.label for example in generate(split))
    size = SPLIT_SIZES[split]
    assert set(counts) == set(INTENTS)
    assert counts.pop(OUT_OF_SCOPE) == size.out_of_scope
    assert set(counts.values()) == {size.per_intent}
    assert 2 * size.per_intent <= size.out_of_scope <= 3 * size.per_intent


def test_totals_are_as_documented():
    assert {split: size.total for split, size in SPLIT_SIZES.items()} == {
        "train": 24_000,
        "validation": 2_000,
        "test": 3_000,
    }


@pytest.mark.parametrize("split", SPLITS)
def test_texts_are_clean(split):
    for example in generate(split):
        assert 0 < len(example.text) < MAX_TEXT_LENGTH
        assert example.text.isprintable()
        assert example.text == " ".join(example.text.split())
        assert not set(example.text) & set("{}[]()<>|~")


def test_no_text_occurs_twice_in_any_case_or_punctuation():
    texts = [spoken(example.text) for split in SPLITS for example in generate(split)]
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("label", INTENTS)
def test_splits_share_no_wording(label):
    train, validation, test = (wordings(label, split) for split in SPLITS)
    assert len(train) >= MIN_TRAIN_WORDINGS
    assert validation and test
    assert not train & validation and not train & test and not validation & test


def test_no_wording_has_two_labels():
    labels = {}
    for label in INTENTS:
        for wording in set().union(*(wordings(label, split) for split in SPLITS)):
            assert labels.setdefault(wording, label) == label, wording


CLOSED_SLOTS = {"covering", "vacuum", "coffee_machine", "speaker", "player", "day", "when", "morning"}


def test_open_slots_are_held_out():
    assert {name for name, slot in SLOTS.items() if not slot.is_held_out} == CLOSED_SLOTS


@pytest.mark.parametrize("name", sorted(set(SLOTS) - CLOSED_SLOTS))
def test_held_out_words_are_disjoint(name):
    train, validation, test = (set(SLOTS[name].words(split)) for split in SPLITS)
    assert train and validation and test
    assert not train & validation and not train & test and not validation & test


def test_every_slot_is_used():
    texts = (" ".join(wordings(label, split)) for label in INTENTS for split in SPLITS)
    named = {name for text in texts for name in re.findall(r"{(\w+)}", text)}
    nested = {name for slot in SLOTS.values() for word in slot.train for name in re.findall(r"{(\w+)}", word)}
    assert named | nested == set(SLOTS)


def test_expand_writes_out_choices_options_and_frames():
    assert expand("(a|b) [c]") == ("a c", "a", "b c", "b")
    assert expand("[the (old|new)] lamp") == ("the old lamp", "lamp", "the new lamp")
    assert "i want the lamp on" in expand("~<want> the lamp on")


def test_a_shared_wording_belongs_to_the_test():
    templates = Templates(train="(dim|lower) the lamp\n", validation="(lower|soften) the lamp", test="soften the lamp")
    owned = {split: [template.wordings for template in templates.written_out(split)] for split in SPLITS}
    assert owned == {"train": [("dim the lamp",)], "validation": [("lower the lamp",)], "test": [("soften the lamp",)]}


def test_realize_fills_nested_slots_and_mends_the_article():
    slots = {"drink": Slot(("{kind} espresso",), (), ()), "kind": Slot(("iced",), (), ())}
    sentence = realize(Template(("make a {drink}",), is_imperative=True), slots, "train", random.Random(0))
    assert sentence == Sentence("make an iced espresso", is_imperative=True)


def test_an_unknown_slot_is_an_error():
    with pytest.raises(DataError, match="Received: 'planet'"):
        realize(Template(("go to {planet}",), is_imperative=True), SLOTS, "train", random.Random(0))


def test_more_rounds_give_more_training_texts_and_none_that_measures():
    examples = generate_training(2)
    assert examples[:24_000] == generate("train")
    assert len(examples) > 40_000
    texts = [spoken(example.text) for example in examples]
    texts += [spoken(example.text) for split in ("validation", "test") for example in generate(split)]
    assert len(set(texts)) == len(texts)


def test_no_round_is_an_error():
    with pytest.raises(DataError, match="from 1 up. Received: 0"):
        generate_training(0)


def test_words_added_for_training_name_a_slot():
    assert set(MORE_TRAINING_WORDS) <= set(SLOTS)
    for name, words in MORE_TRAINING_WORDS.items():
        held_out = {*SLOTS[name].validation, *SLOTS[name].test}
        assert set(words) - held_out <= set(SLOTS[name].train)


@pytest.mark.parametrize("split", ["dev", "", "Train"])
def test_an_unknown_split_is_an_error(split):
    with pytest.raises(DataError, match=r"legal are 'train', 'validation', 'test'\. Received: "):
        generate(split)


def test_a_typo_touches_one_place_of_one_long_word():
    text = "turn on the kitchen lights"
    for seed in range(200):
        mistyped = noise.add_typo(text, random.Random(seed))
        assert abs(len(mistyped) - len(text)) <= 1
        words = zip(text.split(), mistyped.split(), strict=True)
        changed = [(before, after) for before, after in words if before != after]
        assert len(changed) == 1
        assert all(before[0] == after[0] and len(before) >= 4 for before, after in changed)


def test_a_text_without_a_long_word_has_no_typo():
    assert noise.add_typo("is it on", random.Random(0)) == "is it on"


@pytest.mark.parametrize(
    "add", [noise.add_courtesy, noise.add_closing, noise.add_context, noise.add_filler, noise.add_wake_word]
)
def test_additions_keep_the_sentence(add):
    for seed in range(50):
        text = add("lights on", random.Random(seed))
        assert "lights on" in text
        assert len(text) < 80


def test_only_training_has_remarks_in_front():
    assert {split: profile.context > 0 for split, profile in noise.NOISE.items()} == {
        "train": True,
        "validation": False,
        "test": False,
    }


def test_punctuation_fits_the_sentence():
    rng = random.Random(0)
    assert noise.punctuate("what's the time", rng) == "what's the time?"
    assert noise.punctuate("lock the gate", rng)[-1] in ".!"


def test_without_noise_nothing_changes():
    silent = noise.NoiseProfile(*(0.0 for _ in noise.NoiseProfile._fields))
    sentence = Sentence("i'd like it warmer", is_imperative=False)
    assert noise.add_noise(sentence, silent, random.Random(0)) == sentence.text


def test_contractions_are_respelled():
    spellings = {noise.change_contraction("what's new", random.Random(seed)) for seed in range(20)}
    assert spellings == {"what is new", "whats new"}


def test_the_command_writes_three_files(tmp_path, capsys):
    folder = tmp_path / "new" / "data"
    assert main([str(folder)]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "24,000 texts, 22 labels" in captured.err
    assert sorted(path.name for path in folder.iterdir()) == ["test.csv", "train.csv", "validation.csv"]
    with (folder / "test.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["text", "label"]
    assert [Example(*row) for row in rows] == generate("test")


def test_an_unwritable_target_is_an_error(tmp_path, capsys):
    occupied = tmp_path / "file"
    occupied.write_text("")
    assert main([str(occupied)]) == 1
    assert "error: Cannot make the folder" in capsys.readouterr().err
    with pytest.raises(OutputError, match="output folder does not exist"):
        write_csv("test", tmp_path / "missing" / "test.csv")
