"""The documents: their commands run, their links lead somewhere, their pages agree with the code.

How each kind of command is run or checked: `kinds.py`.
"""

import doctest
import re
import runpy
import shlex
from pathlib import Path

import pytest

from . import documents
from .documents import DOCUMENTS, ROOT, blocks, commands, inline_code, read
from .kinds import GENERATED, KINDS, LANGUAGES, Reader, check_click_options, follow_inline

PACKAGES = {
    "edgedistil": ROOT / "edgedistil",
    "converters/edgedistil_converters": ROOT / "converters" / "edgedistil_converters",
    "runtime/edgedistil_runtime": ROOT / "runtime" / "edgedistil_runtime",
}
LICENSES = ("LICENSE", "converters/LICENSE", "runtime/LICENSE")


@pytest.fixture(scope="module")
def made() -> dict[tuple[str, ...], tuple[Path, str]]:
    return {}


@pytest.fixture(scope="module")
def made_in(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("made")


# KerasHub's `fit` makes a dataset of a list of texts and passes Keras' own default for shuffling on.
@pytest.mark.filterwarnings("ignore:.shuffle=True. was passed:UserWarning")
@pytest.mark.parametrize("document", [name for name in DOCUMENTS if name != GENERATED])
def test_a_document_can_be_followed(document, folder_of_examples, made, made_in):
    text = read(document)
    steps = [(block.begin, block) for block in blocks(text)] + inline_code(text)
    reader = Reader(document, made, made_in)
    try:
        for _, step in sorted(steps, key=lambda step: step[0]):
            if isinstance(step, str):
                follow_inline(reader, step)
            else:
                assert step.language in LANGUAGES, f"{document}: unknown language of a block: {step.language}"
                LANGUAGES[step.language](reader, step)
    finally:
        reader.end()


def test_documents_are_read_as_the_examples_show():
    outcome = doctest.testmod(documents)
    assert outcome.attempted > 3
    assert outcome.failed == 0


def test_every_kind_of_command_is_still_used():
    used = {
        command.program
        for document in DOCUMENTS
        for block in blocks(read(document))
        if block.language == "sh"
        for command in commands(block.body)
    }
    assert set(KINDS) - used == set()


def test_commands_page_is_current():
    written = runpy.run_path(str(ROOT / "tools" / "write_commands.py"))["commands_page"]()
    assert read(GENERATED) == written, "Run: make commands"


def test_examples_in_the_help_have_real_options():
    examples = [line for line in read(GENERATED).splitlines() if line.startswith("  edgedistil ")]
    assert len(examples) > 10
    for example in examples:
        check_click_options(shlex.split(example)[1:])


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document):
    folder = (ROOT / document).parent
    for target in re.findall(r"\]\(([^)\s]+)\)", read(document)):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        page = folder / path if path else ROOT / document
        assert page.exists(), target
        assert not anchor or anchor in anchors(page), target


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as code hosts make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", [name for name in DOCUMENTS if name != "CHANGELOG.md"])
def test_paths_in_sentences_exist(document):
    for _, code in inline_code(read(document)):
        if re.fullmatch(r"(edgedistil|converters|runtime|datasets|tests|tools|benchmarks|docs|demos)/[\w./-]*", code):
            assert (ROOT / code).exists(), code


def test_readme_fits_its_limit():
    assert len(read("README.md").splitlines()) < 120


def test_contributing_fits_a_screen():
    assert len(read("CONTRIBUTING.md").splitlines()) <= 40


def test_each_distribution_has_the_license():
    texts = {(ROOT / name).read_bytes() for name in LICENSES}
    assert len(texts) == 1
    for name in LICENSES:
        assert 'license-files = ["LICENSE"]' in (ROOT / name).with_name("pyproject.toml").read_text(encoding="utf-8")
