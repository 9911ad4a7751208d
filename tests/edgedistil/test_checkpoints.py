"""The rows of docs/checkpoints.md: every kind of checkpoint that loads, against BERT written in NumPy, and refusals."""

import json
import re
from pathlib import Path

import keras_hub
import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from edgedistil.presets.loading import NoTrainedHead, load_classifier, load_labelled_classifier
from edgedistil_converters.model.folded_bert import FoldedBertTextClassifier
from edgedistil_runtime.errors import PresetError

from .bert_checkpoints import (
    IDS,
    LABELS,
    POSITIONS,
    ROWS,
    VOCABULARY,
    assert_logits,
    features,
    hidden_states,
    make_tensors,
    tokenizer_json,
    write_checkpoint,
)

KINDS = ("distilbert", "bert")
GENERIC = {"tokenizer_class": "PreTrainedTokenizerFast"}
# Beside the repository, or beside the folder of its worktrees.
BUGS = next((p / "shared/bug-inputs" for p in Path(__file__).parents[3:] if (p / "shared/bug-inputs").is_dir()), Path())


# Layouts of transformers


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layout", [4, 5])
def test_layouts_of_transformers_4_and_5(tmp_path, kind, layout):
    tensors = write_checkpoint(tmp_path / "p", kind, layout=layout)
    found = load_labelled_classifier(tmp_path / "p")
    assert_logits(found.classifier, tensors, kind)
    assert found.labels == LABELS  # whatever the order of id2label
    assert tuple(found.classifier.preprocessor.tokenizer.get_vocabulary()) == tuple(VOCABULARY)
    assert found.classifier.preprocessor.sequence_length == POSITIONS


@pytest.mark.parametrize("kind", KINDS)
def test_backbone_has_no_prefix_and_takes_a_new_head(tmp_path, kind):
    tensors = write_checkpoint(tmp_path / "p", kind, has_head=False)
    assert not any(name.startswith(kind) for name in tensors)
    with pytest.raises(NoTrainedHead):
        load_labelled_classifier(tmp_path / "p")
    classifier = load_classifier(tmp_path / "p", num_classes=4)
    assert type(classifier) is keras_hub.models.DistilBertTextClassifier  # also of a BERT: nothing of it is left
    found = np.asarray(classifier.backbone(features(IDS), training=False))
    for row, ids in zip(found, IDS, strict=True):
        np.testing.assert_allclose(row[: len(ids)], hidden_states(tensors, ids, kind=kind), atol=2e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float16, 0), (ml_dtypes.bfloat16, 0), (np.float64, 1e-7)])
def test_half_and_double_precision_are_read_exactly(tmp_path, kind, dtype, tolerance):
    tensors = {name: values.astype(dtype) for name, values in make_tensors(kind).items()}
    write_checkpoint(tmp_path / "p", kind, tensors=tensors)
    table = np.asarray(load_labelled_classifier(tmp_path / "p").classifier.backbone.token_embedding.embeddings)
    due = tensors[f"{kind}.embeddings.word_embeddings.weight"].astype(np.float32)
    np.testing.assert_allclose(table, due, atol=tolerance)


def test_shards(tmp_path):
    tensors = write_checkpoint(tmp_path / "p", "bert")
    names = sorted(tensors)
    shards = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    (tmp_path / "p" / "model.safetensors").unlink()
    for file, own in shards.items():
        save_file({name: tensors[name] for name in own}, tmp_path / "p" / file)
    index = {"metadata": {}, "weight_map": {name: file for file, own in shards.items() for name in own}}
    (tmp_path / "p" / "model.safetensors.index.json").write_text(json.dumps(index))
    assert_logits(load_labelled_classifier(tmp_path / "p").classifier, tensors, "bert")
    (tmp_path / "p" / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(PresetError, match=r"half-downloaded.*1 of its 2.*model-00002-of-00002"):
        load_labelled_classifier(tmp_path / "p")


def test_layer_norms_with_the_names_of_tensorflow(tmp_path):
    tensors = make_tensors("bert")
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): values
        for name, values in tensors.items()
    }
    write_checkpoint(tmp_path / "p", "bert", tensors=old)
    assert_logits(load_labelled_classifier(tmp_path / "p").classifier, tensors, "bert")


@pytest.mark.parametrize(
    ("options", "normalizer", "due"),
    [
        ({}, None, (True, True)),  # transformers' defaults
        ({"do_lower_case": False}, None, (False, False)),
        ({"do_lower_case": True, "strip_accents": False}, None, (True, False)),
        # BERT's own classes take these from tokenizer_config.json, as tests/transformers shows.
        ({"do_lower_case": True}, {"lowercase": False}, (True, True)),
        ({"tokenizer_class": "BertTokenizerFast"}, {"lowercase": False}, (True, True)),
        ({"do_lower_case": False}, {"lowercase": True, "strip_accents": False}, (False, False)),
        # The class for any tokenizer takes tokenizer.json as it is.
        ({**GENERIC, "do_lower_case": True}, {"lowercase": False}, (False, False)),
        ({**GENERIC, "do_lower_case": False}, {"lowercase": True, "strip_accents": False}, (True, False)),
        ({"tokenizer_class": "TokenizersBackend"}, {"lowercase": False, "strip_accents": True}, (False, True)),
        ({**GENERIC, "do_lower_case": False}, None, (False, False)),  # without a tokenizer.json
    ],
)
def test_case_and_accents(tmp_path, options, normalizer, due):
    tokenizer = tokenizer_json(**normalizer) if normalizer is not None else None
    layout = 4 if normalizer is None else 5
    write_checkpoint(tmp_path / "p", "distilbert", layout=layout, options=options, tokenizer=tokenizer)
    tokenizer = load_labelled_classifier(tmp_path / "p").classifier.preprocessor.tokenizer
    assert (tokenizer.lowercase, tokenizer.strip_accents) == due


def test_no_normalizer(tmp_path):
    content = {**tokenizer_json(), "normalizer": None}
    write_checkpoint(tmp_path / "generic", "bert", options=GENERIC, tokenizer=content)
    rules = load_labelled_classifier(tmp_path / "generic").classifier.preprocessor.tokenizer.rules
    assert not (rules.lowercase or rules.is_stripped or rules.clean_text or rules.handle_chinese_chars)
    write_checkpoint(tmp_path / "bert", "bert", options={}, tokenizer=content)
    rules = load_labelled_classifier(tmp_path / "bert").classifier.preprocessor.tokenizer.rules
    assert rules.lowercase and rules.is_stripped and rules.clean_text and rules.handle_chinese_chars


@pytest.mark.parametrize(
    ("parts", "is_legal"),
    [
        ([("SpecialToken", "[CLS]"), ("Sequence", "A"), ("SpecialToken", "[SEP]")], True),
        ([("SpecialToken", "[CLS]"), ("Sequence", "A")], False),
        ([("SpecialToken", "[SEP]"), ("Sequence", "A"), ("SpecialToken", "[SEP]")], False),
        ([("SpecialToken", "[CLS]"), ("SpecialToken", "[SEP]")], False),
        ([("Sequence", "A")], False),
    ],
)
def test_template_of_a_generic_tokenizer(tmp_path, parts, is_legal):
    template = {"type": "TemplateProcessing", "single": [{kind: {"id": name, "type_id": 0}} for kind, name in parts]}
    content = {**tokenizer_json(), "post_processor": template}
    write_checkpoint(tmp_path / "p", "bert", options=GENERIC, tokenizer=content)
    if is_legal:
        assert load_labelled_classifier(tmp_path / "p").labels == LABELS
        return
    received = re.escape(" ".join(name for _, name in parts))
    with pytest.raises(PresetError, match=rf"between \[CLS\] and \[SEP\].*Received: {received}$"):
        load_labelled_classifier(tmp_path / "p")


def test_model_max_length_cuts_texts(tmp_path):
    write_checkpoint(tmp_path / "p", "bert", options={"model_max_length": 9})
    assert load_labelled_classifier(tmp_path / "p").classifier.preprocessor.sequence_length == 9


# What a BERT's config changes


@pytest.mark.parametrize(
    ("config", "options"),
    [
        ({"layer_norm_eps": 0.05}, {"epsilon": 0.05}),
        ({"hidden_act": "gelu_new"}, {"is_gelu_approximate": True}),
        ({"hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-5}, {"is_gelu_approximate": True, "epsilon": 1e-5}),
        ({"hidden_act": "gelu_python_tanh"}, {"is_gelu_approximate": True}),
    ],
)
def test_epsilon_and_gelu_of_the_config_survive_saving(tmp_path, config, options):
    tensors = write_checkpoint(tmp_path / "p", "bert", **config)
    classifier = load_labelled_classifier(tmp_path / "p").classifier
    assert_logits(classifier, tensors, "bert", **options)
    classifier.save_to_preset(str(tmp_path / "saved"))
    again = load_classifier(tmp_path / "saved")
    assert isinstance(again, FoldedBertTextClassifier)
    assert_logits(again, tensors, "bert", **options)
    assert load_classifier(tmp_path / "saved", num_classes=5).num_classes == 5


def test_distil_berts_epsilon_is_a_constant(tmp_path):
    tensors = write_checkpoint(tmp_path / "p", "distilbert", layer_norm_eps=0.05)
    assert_logits(load_labelled_classifier(tmp_path / "p").classifier, tensors, "distilbert")


@pytest.mark.parametrize(
    ("kind", "config", "message"),
    [
        ("bert", {"hidden_act": "relu"}, "GELU.*'relu'"),
        ("bert", {"position_embedding_type": "relative_key"}, "absolute.*'relative_key'"),
        ("bert", {"is_decoder": True}, "decoder"),
        ("bert", {"quantization_config": {"quant_method": "bitsandbytes"}}, "floats.*bitsandbytes"),
        ("distilbert", {"problem_type": "regression"}, "regression"),
        ("distilbert", {"dim": 8}, r"config\.json and its weights are of different sizes"),
        ("bert", {"num_hidden_layers": 3}, r"lack the tensor bert\.encoder\.layer\.2\."),
        ("bert", {"architectures": ["BertForTokenClassification"]}, "no trained head"),
        ("bert", {"model_type": "roberta"}, "DistilBERT or a BERT.*roberta"),
    ],
)
def test_configs_that_are_refused_by_name(tmp_path, kind, config, message):
    write_checkpoint(tmp_path / "p", kind, **config)
    with pytest.raises(PresetError, match=message) as caught:
        load_labelled_classifier(tmp_path / "p")
    assert "damaged" not in str(caught.value)


def test_regression_is_refused(tmp_path):
    write_checkpoint(tmp_path / "p", "bert", tensors=make_tensors("bert", classes=1), id2label=None)
    with pytest.raises(PresetError, match="one output.*regression"):
        load_labelled_classifier(tmp_path / "p")


# Weights that cannot be read


@pytest.mark.parametrize("name", ["pytorch_model.bin", "tf_model.h5", "flax_model.msgpack"])
def test_weights_in_other_formats(tmp_path, name):
    write_checkpoint(tmp_path / "p", "bert")
    (tmp_path / "p" / "model.safetensors").rename(tmp_path / "p" / name)
    with pytest.raises(PresetError, match=rf"{name}.*Load and save it once with transformers") as caught:
        load_labelled_classifier(tmp_path / "p")
    assert "damaged" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS.*git lfs pull"),
        (b"", "incomplete"),
        (b"\xff" * 64, "incomplete"),
    ],
)
def test_files_that_are_no_weights(tmp_path, content, message):
    write_checkpoint(tmp_path / "p", "bert")
    (tmp_path / "p" / "model.safetensors").write_bytes(content)
    with pytest.raises(PresetError, match=message):
        load_labelled_classifier(tmp_path / "p")


def test_half_downloaded_and_quantized_weights(tmp_path):
    tensors = write_checkpoint(tmp_path / "p", "bert")
    path = tmp_path / "p" / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-100])
    with pytest.raises(PresetError, match=rf"incomplete.*{len(content) - 100:,} of {len(content):,} bytes.*again"):
        load_labelled_classifier(tmp_path / "p")
    name = "bert.encoder.layer.0.output.dense.weight"
    save_file({**tensors, name: tensors[name].astype(np.int8)}, path)
    with pytest.raises(PresetError, match=rf"quantized.*{name} of I8"):
        load_labelled_classifier(tmp_path / "p")
    path.unlink()
    with pytest.raises(PresetError, match=r"no weights.*model\.safetensors"):
        load_labelled_classifier(tmp_path / "p")


# Vocabularies


@pytest.mark.parametrize(("rows", "is_legal"), [(ROWS, True), (ROWS + 12, True), (ROWS - 1, False), (5 * ROWS, False)])
def test_vocabulary_must_belong_to_its_embeddings(tmp_path, rows, is_legal):
    write_checkpoint(tmp_path / "p", "bert", tensors=make_tensors("bert", rows=rows))
    if is_legal:
        assert load_labelled_classifier(tmp_path / "p").classifier.backbone.vocabulary_size == rows
        return
    with pytest.raises(PresetError, match=f"does not belong to its embeddings.*{ROWS} pieces, {rows} rows"):
        load_labelled_classifier(tmp_path / "p")


@pytest.mark.parametrize(
    ("tokenizer", "options", "message"),
    [
        ({"model": {"type": "Unigram", "vocab": []}}, {}, "WordPiece.*Unigram"),
        (tokenizer_json(type="Lowercase"), {}, "BertNormalizer.*Lowercase"),
        ({**tokenizer_json(), "pre_tokenizer": {"type": "Whitespace"}}, {}, "BertPreTokenizer.*Whitespace"),
        (None, {"tokenizer_class": "XLMRobertaTokenizer"}, "WordPiece.*XLMRoberta"),
        (None, {"word_tokenizer_type": "mecab"}, "spaces and punctuation.*mecab"),
        (None, {"cls_token": {"content": "<s>"}}, r"between \[CLS\] and \[SEP\].*cls_token '<s>'"),
        ({**tokenizer_json(), "post_processor": None}, GENERIC, r"between \[CLS\] and \[SEP\].*Received: A$"),
    ],
)
def test_other_tokenizers_are_refused_by_name(tmp_path, tokenizer, options, message):
    write_checkpoint(tmp_path / "p", "bert", tokenizer=tokenizer, options=options)
    with pytest.raises(PresetError, match=message):
        load_labelled_classifier(tmp_path / "p")


def test_no_vocabulary(tmp_path):
    write_checkpoint(tmp_path / "p", "bert")
    (tmp_path / "p" / "tokenizer.json").unlink()
    with pytest.raises(PresetError, match=r"no vocabulary.*tokenizer\.json.*vocab\.txt"):
        load_labelled_classifier(tmp_path / "p")


# The inputs that people sent


@pytest.mark.skipif(not BUGS.name, reason="the folder ../shared/bug-inputs is not here")
@pytest.mark.parametrize("name", ["hf-accents", "hf-added-token", "hf5-tokenizer-json-only"])
def test_classifiers_that_were_sent_give_what_transformers_gives(name):
    from edgedistil_converters.verification.keras_answers import answer_with_keras

    due = json.loads((BUGS / name / "expected-by-transformers.json").read_text(encoding="utf-8"))
    found = load_labelled_classifier(BUGS / name)
    [answer] = answer_with_keras(found.classifier, [due["text"]])
    assert list(answer.token_ids) == due["token_ids"]
    np.testing.assert_allclose(answer.probabilities, due["probabilities"], atol=1e-4)
    assert found.labels[int(np.argmax(answer.probabilities))] == due["label"]
