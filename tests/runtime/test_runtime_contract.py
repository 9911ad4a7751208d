"""The names in artifacts: files and readers in other languages depend on them."""

import ast
import pathlib
import subprocess
import sys

import pytest

from edgedistil_runtime import artifact, contract
from edgedistil_runtime.backends import encoders

PACKAGE = pathlib.Path(contract.__file__).parent
# Names that mean nothing else in the package; `text` and `probabilities`, for instance, are JSON keys of the server.
DISTINCTIVE = {
    *(contract.CLASSIFY_TEXT, contract.CLASSIFY_TEXT_PAIR, contract.CLASSIFY_TOKENS, contract.EMBED),
    *(contract.TOKENIZE, contract.TOKENIZE_PAIR, contract.SERVING_DEFAULT),
    *(contract.SEGMENT_IDS, contract.EMBEDDINGS, contract.ATTENTION_BIAS, contract.ATTENTION_MASK),
    *(*contract.MEMBERS, contract.ENCODER_MEMBER, contract.COMPILED_MEMBER, contract.FILE_IDENTIFIER),
    contract.VMFB_MEMBER,
    *(contract.BUILTIN, contract.TFTEXT, *contract.TARGETS, *contract.TRUNCATIONS),
}


FUNCTIONS = {"encoder_signature", "fixed_embed", "fixed_text", "fixed_tokenize", "fixed_tokens"}


def test_names_that_files_depend_on():
    assert [getattr(contract, name) for name in sorted(set(contract.__all__) - FUNCTIONS)] == [
        *("attention_bias", "attention_mask", "builtin", "classify_text", "classify_text_pair", "classify_tokens"),
        "encoder_edgetpu.tflite",
        {"edgetpu": "encoder_edgetpu.tflite", "coralboard": "encoder.vmfb"},
        *("coralboard", "cpu", "edgetpu", "embed", "embeddings", "encoder.tflite", b"TFL3", "fixed_lengths", "gpu"),
        *("hugging_face", "ids", "keras_hub"),
        *(
            "labels.txt",
            "longest_first",
            "mask",
            ("edgedistil.json", "labels.txt", "vocab.txt"),
            "edgedistil.json",
            "multi_label_classification",
            2,
            "none",
            "npu",
        ),
        *(
            "probabilities",
            "round_robin",
            ("keras_hub", "hugging_face"),
            1,
            "score_calibration",
            "segment_ids",
            "serving_default",
            "single_label_classification",
            ("cpu", "gpu", "edgetpu", "coralboard", "npu"),
            "text",
        ),
        *("text_pair", "tftext", "tokenize", ("builtin", "tftext", "none"), "tokenize_pair"),
        *("token_count", "token_ids"),
        *(("round_robin", "waterfall", "longest_first"), "unknown_score", "unknown_texts"),
        *("encoder.vmfb", "vocab.txt", "waterfall"),
    ]
    assert contract.encoder_signature(7) == "classify_embeddings_7"
    assert contract.fixed_tokens(7) == "classify_tokens_7"
    assert contract.fixed_text(128, 7) == "classify_text_128_7"
    assert contract.fixed_tokenize(128, 7) == "tokenize_128_7"
    assert contract.fixed_embed(7) == "embed_7"


def test_the_artifact_module_has_the_same_names():
    for name in set(artifact.__all__) & set(contract.__all__):
        assert getattr(artifact, name) is getattr(contract, name)
    assert encoders.encoder_signature is contract.encoder_signature


def test_it_imports_nothing():
    code = "import sys\nfrom edgedistil_runtime import contract\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name for name in done.stdout.split() if name.startswith("edgedistil_runtime")}
    assert loaded == {"edgedistil_runtime", "edgedistil_runtime.contract"}
    assert "numpy" not in done.stdout.split()


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_writes_them_again(path):
    if path.name == "contract.py":
        return
    tree = ast.parse(path.read_text("utf-8"))
    literals = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and node.value is not None}
    assert not DISTINCTIVE & {literal for literal in literals if isinstance(literal, (str, bytes))}
