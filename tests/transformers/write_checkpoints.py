"""Writes checkpoints with transformers' own `save_pretrained`, and what transformers makes of them.

Runs in the environment of `make setup-torch`, which has no EdgeDistil, with transformers 5 or 4:

    python write_checkpoints.py OUTPUT NAME ... < texts.json

Every NAME of `CASES` becomes the directory OUTPUT/NAME. OUTPUT/NAME.json has what the checkpoint gives for each text
after it is loaded again in float32: token ids of the fast tokenizer; probabilities if it has a trained head, or else
hidden states; the labels; the name of the tokenizer's class; and the ids of the tokenizer in Python if the automatic
class is that one.
"""

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
# Forms that differ in case and accents, so that a tokenizer with other options gives other ids.
WORDS = (
    "turn the light ##s on off play some music is it rain ##ing ? ! . , ' - ( ) cafe café Cafe Café zurich zürich "
    "Zürich naive naïve Turn The ##e ##é istanbul i\u0307stanbul İstanbul straße strasse русский Русский 日 本 日本 "
    "##本 한국 \u1112\u1161\u11ab\u1100\u116e\u11a8 a b ab ##a ##b A B 1 2 ##1 ##2 … ½ € co ##operate x ##x new "
    "york _ / # @ <e> xr ##500 δοκιμη δοκιμή हिन्दी हिनदी"
)
VOCABULARY = list(dict.fromkeys([*SPECIAL, *WORDS.split()]))
POSITIONS, LABELS = 24, {2: "weather", 0: "lights", 1: "music"}
SIZES = {
    "bert": {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 16, "intermediate_size": 32},
    "distilbert": {"n_layers": 2, "n_heads": 2, "dim": 16, "hidden_dim": 32},
}
CLASSES = {
    "bert": (transformers.BertConfig, "Bert", transformers.BertTokenizer),
    "distilbert": (transformers.DistilBertConfig, "DistilBert", transformers.DistilBertTokenizer),
}
HAS_VERSION_4 = transformers.__version__.startswith("4.")


def make_model(kind: str, head: str = "ForSequenceClassification", **config: Any) -> Any:
    """A model of random numbers, large enough that probabilities are far from each other."""
    config_class, name, _ = CLASSES[kind]
    config = {"vocab_size": len(VOCABULARY), "max_position_embeddings": POSITIONS, **SIZES[kind], **config}
    if head == "ForSequenceClassification" and "num_labels" not in config:
        config = {"id2label": LABELS, "label2id": {name: number for number, name in LABELS.items()}, **config}
    config = {key: value for key, value in config.items() if value is not None}
    torch.manual_seed(3)
    model = getattr(transformers, f"{name}{head}")(config_class(**config))
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            is_scale = "norm.weight" in parameter_name.lower()
            parameter.copy_(torch.randn(parameter.shape) * 0.3 + is_scale)
    return model


def make_tokenizer(kind: str, folder: Path, *, is_slow: bool = False, vocabulary: Any = None, **options: Any) -> Any:
    """A tokenizer of the kind's own class, from a vocab.txt."""
    path = folder.with_suffix(".vocab")
    path.write_text("".join(f"{piece}\n" for piece in vocabulary or VOCABULARY), encoding="utf-8")
    tokenizer_class = CLASSES[kind][2]
    if HAS_VERSION_4 and not is_slow:
        tokenizer_class = getattr(transformers, f"{tokenizer_class.__name__}Fast")
    if is_slow and not HAS_VERSION_4:
        tokenizer_class = transformers.BertTokenizerLegacy
    return tokenizer_class(str(path), **options)


def generic_tokenizer(*, has_template: bool = True, **options: Any) -> Any:
    """A tokenizer of the library, in transformers' class for any of them."""
    tokenizer = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(**options)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    if has_template:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]",
            pair="[CLS] $A [SEP] $B:1 [SEP]:1",
            special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
        )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, mask_token="[MASK]", **names)


def write(
    folder: Path,
    kind: str,
    *,
    head: str = "ForSequenceClassification",
    tokenizer: dict[str, Any] | None = None,
    config: dict[str, Any] | None = None,
    dtype: torch.dtype = torch.float32,
    **saving: Any,
) -> None:
    """A model and its tokenizer, saved."""
    make_model(kind, head, **(config or {})).to(dtype).save_pretrained(folder, **saving)
    make_tokenizer(kind, folder, **(tokenizer or {})).save_pretrained(folder)


def write_generic(folder: Path, **options: Any) -> None:
    """A tokenizer of a class that has no defaults of BERT's."""
    make_model("bert").save_pretrained(folder)
    generic_tokenizer(**options).save_pretrained(folder)


def write_both_tokenizers(folder: Path) -> None:
    """tokenizer.json beside vocab.txt."""
    write(folder, "bert", tokenizer={"is_slow": True})
    make_tokenizer("bert", folder).save_pretrained(folder)


def write_again(folder: Path) -> None:
    """A directory with vocab.txt, loaded by the automatic classes and saved once more."""
    older = folder.with_suffix(".older")
    write(older, "bert", tokenizer={"is_slow": True, "do_lower_case": False})
    transformers.AutoModelForSequenceClassification.from_pretrained(older).save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(older).save_pretrained(folder)


def write_added_tokens(folder: Path, *, is_slow: bool = False) -> None:
    """Tokens of several kinds after the vocabulary, and an embedding table padded to a multiple of 8."""
    tokenizer = make_tokenizer("bert", folder, is_slow=is_slow)
    tokenizer.add_tokens(["xr500", transformers.AddedToken("new york", single_word=True)])
    tokenizer.add_tokens([transformers.AddedToken("<E1>", special=True, lstrip=True, rstrip=True)], special_tokens=True)
    model = make_model("bert")
    model.resize_token_embeddings(len(tokenizer), pad_to_multiple_of=8)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def write_ignored_vocabulary(folder: Path) -> None:
    """transformers 5 ignores the keyword `vocab_file`, and saves the special tokens only."""
    make_model("distilbert", vocab_size=30522).save_pretrained(folder)
    folder.with_suffix(".vocab").write_text("\n".join(VOCABULARY), encoding="utf-8")
    transformers.DistilBertTokenizer(vocab_file=str(folder.with_suffix(".vocab"))).save_pretrained(folder)


def write_pickle(folder: Path) -> None:
    """Weights as older versions saved them."""
    write(folder, "bert")
    (folder / "model.safetensors").unlink()
    torch.save(make_model("bert").state_dict(), folder / "pytorch_model.bin")


def change_json(path: Path, **changes: Any) -> None:
    """Sets keys of a JSON file; None removes one."""
    content = {**json.loads(path.read_text(encoding="utf-8")), **changes}
    content = {key: value for key, value in content.items() if value is not None}
    path.write_text(json.dumps(content), encoding="utf-8")


def write_contradiction(folder: Path, *, is_generic: bool, tokenizer: dict[str, Any], **changes: Any) -> None:
    """tokenizer.json and tokenizer_config.json that name other options, as after changes by hand."""
    make_model("bert").save_pretrained(folder)
    saved = generic_tokenizer(**tokenizer) if is_generic else make_tokenizer("bert", folder, **tokenizer)
    saved.save_pretrained(folder)
    change_json(folder / "tokenizer_config.json", **changes)


def write_without_normalizer(folder: Path) -> None:
    """A tokenizer.json whose normalizer is null."""
    write_generic(folder)
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**content, "normalizer": None}), encoding="utf-8")


CASES = {
    **{f"{kind}_classifier": partial(write, kind=kind) for kind in SIZES},
    **{f"{kind}_slow_tokenizer": partial(write, kind=kind, tokenizer={"is_slow": True}) for kind in SIZES},
    "both_tokenizers": write_both_tokenizers,
    "loaded_and_saved_again": write_again,
    **{f"{kind}_model": partial(write, kind=kind, head="Model") for kind in SIZES},
    **{f"{kind}_masked_lm": partial(write, kind=kind, head="ForMaskedLM") for kind in SIZES},
    "bert_token_classification": partial(write, kind="bert", head="ForTokenClassification"),
    "distilbert_question_answering": partial(write, kind="distilbert", head="ForQuestionAnswering"),
    **{
        f"{kind}_{str(dtype).removeprefix('torch.')}": partial(write, kind=kind, dtype=dtype)
        for kind in SIZES
        for dtype in (torch.float16, torch.bfloat16, torch.float64)
    },
    **{f"{kind}_shards": partial(write, kind=kind, max_shard_size="6KB") for kind in SIZES},
    "two_default_labels": partial(write, kind="bert", config={"num_labels": 2}),
    "four_default_labels": partial(write, kind="distilbert", config={"num_labels": 4}),
    "cased": partial(write, kind="bert", tokenizer={"do_lower_case": False}),
    "cased_slow": partial(write, kind="bert", tokenizer={"is_slow": True, "do_lower_case": False}),
    "cased_without_accents": partial(
        write, kind="distilbert", tokenizer={"do_lower_case": False, "strip_accents": True}
    ),
    "uncased_with_accents": partial(write, kind="distilbert", tokenizer={"strip_accents": False}),
    "uncased_with_accents_slow": partial(write, kind="bert", tokenizer={"is_slow": True, "strip_accents": False}),
    "whole_cjk": partial(write, kind="bert", tokenizer={"tokenize_chinese_chars": False}),
    "model_max_length": partial(write, kind="bert", tokenizer={"model_max_length": 9}),
    "gelu_new_and_epsilon": partial(write, kind="bert", config={"hidden_act": "gelu_new", "layer_norm_eps": 0.05}),
    "gelu_python_tanh": partial(write, kind="distilbert", config={"activation": "gelu_python_tanh"}),
    "distilbert_ignores_epsilon": partial(write, kind="distilbert", config={"layer_norm_eps": 0.05}),
    "sinusoidal_positions": partial(write, kind="distilbert", config={"sinusoidal_pos_embds": True}),
    "one_segment": partial(write, kind="bert", config={"type_vocab_size": 1}),
    "added_tokens": write_added_tokens,
    "added_tokens_slow": partial(write_added_tokens, is_slow=True),
    "generic_uncased": write_generic,
    "generic_cased": partial(write_generic, lowercase=False),
    "generic_with_controls": partial(write_generic, clean_text=False, handle_chinese_chars=False, strip_accents=False),
    "generic_without_normalizer": write_without_normalizer,
    "generic_contradicted": partial(
        write_contradiction, is_generic=True, tokenizer={"lowercase": False}, do_lower_case=True
    ),
    "cased_contradicted": partial(
        write_contradiction, is_generic=False, tokenizer={"do_lower_case": False}, do_lower_case=True
    ),
    "cased_unnamed": partial(
        write_contradiction, is_generic=False, tokenizer={"do_lower_case": False}, do_lower_case=None
    ),
    "uncased_contradicted": partial(write_contradiction, is_generic=False, tokenizer={}, do_lower_case=False),
    "accents_contradicted": partial(
        write_contradiction, is_generic=False, tokenizer={"strip_accents": False}, strip_accents=None
    ),
    "without_class": partial(
        write_contradiction,
        is_generic=False,
        tokenizer={"do_lower_case": False},
        do_lower_case=None,
        tokenizer_class=None,
    ),
    # Refused
    "generic_without_template": partial(write_generic, has_template=False),
    "ignored_vocabulary": write_ignored_vocabulary,
    "pickle": write_pickle,
    "regression": partial(write, kind="bert", config={"num_labels": 1}),
    "multi_label": partial(write, kind="distilbert", config={"problem_type": "multi_label_classification"}),
    "relu": partial(write, kind="bert", config={"hidden_act": "relu"}),
}


def answer(folder: Path, texts: list[str]) -> dict[str, Any]:
    """What transformers makes of a directory."""
    config = transformers.AutoConfig.from_pretrained(folder)
    has_head = config.architectures[0].endswith("ForSequenceClassification")
    load = transformers.AutoModelForSequenceClassification if has_head else transformers.AutoModel
    model = load.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    cut = {"truncation": True, "max_length": min(tokenizer.model_max_length, config.max_position_embeddings)}
    extra = {}
    if type(tokenizer).__name__ == "BertTokenizerLegacy":  # in Python, with a few other ids
        extra = {"python_ids": [tokenizer(text, **cut)["input_ids"] for text in texts]}
        tokenizer = transformers.BertTokenizer.from_pretrained(folder)
    is_multi_label = config.problem_type == "multi_label_classification"
    probabilities = torch.sigmoid if is_multi_label else partial(torch.softmax, dim=-1)
    ids, outputs = [], []
    with torch.inference_mode():
        for text in texts:
            inputs = tokenizer(text, **cut, return_tensors="pt")
            ids.append(inputs["input_ids"][0].tolist())
            inputs = {key: inputs[key] for key in ("input_ids", "attention_mask")}
            found = model(**inputs)
            outputs.append((probabilities(found.logits) if has_head else found.last_hidden_state)[0].tolist())
    labels = [config.id2label[number] for number in range(config.num_labels)] if has_head else None
    return {"ids": ids, "outputs": outputs, "labels": labels, "class": type(tokenizer).__name__, **extra}


def main() -> None:
    """Writes the named cases."""
    output, names, texts = Path(sys.argv[1]), sys.argv[2:], json.load(sys.stdin)
    transformers.logging.set_verbosity_error()
    for name in names:
        folder = output / name
        CASES[name](folder)
        try:
            found = answer(folder, texts)
        except Exception as error:  # some of those that are to be refused cannot be loaded by transformers either
            found = {"error": f"{type(error).__name__}: {error}"}
        (output / f"{name}.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
