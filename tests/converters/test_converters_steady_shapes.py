"""Few tensors of a tokenizer change their shape from one text to another: LiteRT plans all later ops anew then."""

import pytest

from edgedistil_runtime.text_bytes import encode_text

from .hugging_face import OPTIONS, HuggingFaceFile, special_tokens, vocabulary

# One and two words, more and longer words, several pieces for one word, accents.
TEXTS = ("", "turn", "turn on the lights, play music!", "quiz " * 12, "lighting Straße in Zürich, playing")


@pytest.fixture(params=["KerasHub", "Hugging Face"])
def file(request, tokenizer_file, tmp_path):
    """A tokenizer converted with one of the two sets of rules."""
    if request.param == "KerasHub":
        return tokenizer_file("lowercase")
    words = vocabulary()
    return HuggingFaceFile(words, special_tokens(words), OPTIONS["uncased"], tmp_path / "file.tflite")


def shapes(file, text):
    """The number and the shape of every tensor of the main graph after a text."""
    file.ids(text)
    return {detail["index"]: tuple(detail["shape"]) for detail in file.backend._model.get_tensor_details()}


def changed(first, second):
    return [(first[number], shape) for number, shape in second.items() if shape != first.get(number, shape)]


def test_only_the_token_ids_change_their_number(file):
    first, *others = (shapes(file, text) for text in TEXTS)
    for text, other in zip(TEXTS[1:], others, strict=True):
        # The ids before and after they are cut and put between [CLS] and [SEP], and what selects them.
        assert len(changed(first, other)) <= 8, (text, changed(first, other))


def test_a_longer_text_has_another_length(file):
    """Or nothing above would be compared."""
    short, long = shapes(file, "turn on"), shapes(file, "turn on the lights " * 20)
    assert len(changed(short, long)) > 40


def test_rows_of_any_length_give_the_same_ids(file):
    """Hosts may pass buffers of a fixed size, or exactly the bytes of a text."""
    row = encode_text("turn on the lights").tolist()
    due = file.run(row)
    for length in (18, 19, 127, 128, 129, 4096):
        assert file.run([*row[:18], *[0] * (length - 18)]) == due
