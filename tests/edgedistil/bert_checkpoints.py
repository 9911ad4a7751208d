"""Small checkpoints in Hugging Face's layouts, made of random numbers, and what BERT's papers make of them in NumPy."""

import json
import math

import numpy as np
from safetensors.numpy import save_file

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["turn", "the", "light", "##s", "on", "off", "play", "some", "music", "is", "it", "rain", "##ing", "?", "cafe"]
VOCABULARY = [*SPECIAL, *WORDS]
LABELS = ("lights", "music", "weather")
ROWS, WIDTH, HEADS, LAYERS, INNER, POSITIONS = len(VOCABULARY), 16, 2, 2, 32, 24
IDS = [[2, 5, 6, 7, 8, 9, 3], [2, 11, 12, 13, 3], [2, 3]]

_DISTILBERT = {
    **{"query": "attention.q_lin", "key": "attention.k_lin", "value": "attention.v_lin"},
    **{"mixed": "attention.out_lin", "norm": "sa_layer_norm", "inner": "ffn.lin1", "outer": "ffn.lin2"},
    **{"last": "output_layer_norm", "layer": "transformer.layer", "pooled": "pre_classifier"},
}
_BERT = {
    **{"query": "attention.self.query", "key": "attention.self.key", "value": "attention.self.value"},
    **{"mixed": "attention.output.dense", "norm": "attention.output.LayerNorm", "inner": "intermediate.dense"},
    **{"outer": "output.dense", "last": "output.LayerNorm", "layer": "encoder.layer", "pooled": "pooler.dense"},
}


def make_tensors(kind, *, rows=ROWS, has_head=True, classes=3, seed=5):
    """Tensors under the names of `DistilBertForSequenceClassification` or `BertForSequenceClassification`."""
    random, names, tensors = np.random.default_rng(seed), _BERT if kind == "bert" else _DISTILBERT, {}
    prefix = f"{kind}." if has_head else ""

    def matrix(name, outputs, inputs):
        tensors[f"{name}.weight"] = random.normal(0, 0.4, (outputs, inputs)).astype(np.float32)
        tensors[f"{name}.bias"] = random.normal(0, 0.4, outputs).astype(np.float32)

    def norm(name):
        tensors[f"{name}.weight"] = random.normal(1, 0.2, WIDTH).astype(np.float32)
        tensors[f"{name}.bias"] = random.normal(0, 0.2, WIDTH).astype(np.float32)

    tables = {"word": rows, "position": POSITIONS, **({"token_type": 2} if kind == "bert" else {})}
    for table, count in tables.items():
        name = f"{prefix}embeddings.{table}_embeddings.weight"
        tensors[name] = random.normal(0, 0.5, (count, WIDTH)).astype(np.float32)
    norm(f"{prefix}embeddings.LayerNorm")
    for index in range(LAYERS):
        root = f"{prefix}{names['layer']}.{index}."
        for part in ("query", "key", "value", "mixed"):
            matrix(root + names[part], WIDTH, WIDTH)
        matrix(root + names["inner"], INNER, WIDTH)
        matrix(root + names["outer"], WIDTH, INNER)
        norm(root + names["norm"])
        norm(root + names["last"])
    if kind == "bert" or has_head:
        matrix(names["pooled"] if kind == "distilbert" else f"{prefix}{names['pooled']}", WIDTH, WIDTH)
    if has_head:
        matrix("classifier", classes, WIDTH)
    return tensors


def make_config(kind, *, has_head=True, **changes):
    if kind == "bert":
        sizes = {"num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "hidden_size": WIDTH}
        sizes |= {"intermediate_size": INNER, "hidden_act": "gelu", "layer_norm_eps": 1e-12, "type_vocab_size": 2}
        name = "BertForSequenceClassification" if has_head else "BertModel"
    else:
        sizes = {"n_layers": LAYERS, "n_heads": HEADS, "dim": WIDTH, "hidden_dim": INNER, "activation": "gelu"}
        name = "DistilBertForSequenceClassification" if has_head else "DistilBertModel"
    config = {
        "architectures": [name],
        "model_type": kind,
        "vocab_size": len(VOCABULARY),
        "max_position_embeddings": POSITIONS,
        "id2label": {"2": LABELS[2], "0": LABELS[0], "1": LABELS[1]},
        **sizes,
        **changes,
    }
    return {key: value for key, value in config.items() if value is not None}


def tokenizer_json(vocabulary=VOCABULARY, **normalizer):
    token = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": vocabulary.index(piece), "content": piece, **token} for piece in SPECIAL],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
            **normalizer,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "BertProcessing",
            "sep": ["[SEP]", vocabulary.index("[SEP]")],
            "cls": ["[CLS]", vocabulary.index("[CLS]")],
        },
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {piece: index for index, piece in enumerate(vocabulary)},
        },
    }


def write_checkpoint(directory, kind, *, tensors=None, layout=5, has_head=True, tokenizer=None, options=None, **config):
    """Writes a directory as transformers 4 (`vocab.txt`) or 5 (`tokenizer.json`) does; returns its tensors."""
    directory.mkdir(parents=True, exist_ok=True)
    tensors = make_tensors(kind, has_head=has_head) if tensors is None else tensors
    (directory / "config.json").write_text(json.dumps(make_config(kind, has_head=has_head, **config)))
    options = {"do_lower_case": True, "model_max_length": 512} if options is None else options
    (directory / "tokenizer_config.json").write_text(json.dumps(options))
    if layout == 4:
        (directory / "vocab.txt").write_text("".join(f"{piece}\n" for piece in VOCABULARY), encoding="utf-8")
    else:
        content = tokenizer_json() if tokenizer is None else tokenizer
        (directory / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    save_file(tensors, directory / "model.safetensors")
    return tensors


def hidden_states(tensors, ids, *, kind, heads=HEADS, epsilon=1e-12, is_gelu_approximate=False):
    """The last layer of a BERT (Devlin et al. 2018, arXiv 1810.04805) for one row of ids, [length, width]."""
    names = _BERT if kind == "bert" else _DISTILBERT
    suffix = "embeddings.word_embeddings.weight"
    prefix = next(name for name in tensors if name.endswith(suffix)).removesuffix(suffix)

    def dense(name, x):
        return x @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"]

    def norm(name, x):
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon)
        return scaled * tensors[f"{name}.weight"] + tensors[f"{name}.bias"]

    x = tensors[prefix + suffix][ids] + tensors[f"{prefix}embeddings.position_embeddings.weight"][: len(ids)]
    if kind == "bert":
        x = x + tensors[f"{prefix}embeddings.token_type_embeddings.weight"][0]
    x = norm(f"{prefix}embeddings.LayerNorm", x.astype(np.float64))
    layers = 1 + max(int(n.split(".layer.")[1].split(".")[0]) for n in tensors if ".layer." in n)
    for index in range(layers):
        root = f"{prefix}{names['layer']}.{index}."
        query, key, value = (
            dense(root + names[part], x).reshape(len(ids), heads, -1).swapaxes(0, 1)
            for part in ("query", "key", "value")
        )
        scores = query @ key.swapaxes(1, 2) / math.sqrt(query.shape[-1])
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (weights / weights.sum(-1, keepdims=True) @ value).swapaxes(0, 1).reshape(x.shape)
        x = norm(root + names["norm"], x + dense(root + names["mixed"], mixed))
        inner = dense(root + names["inner"], x)
        inner = gelu(inner, is_approximate=is_gelu_approximate)
        x = norm(root + names["last"], x + dense(root + names["outer"], inner))
    return x


def logits(tensors, ids, *, kind, **options):
    """The logits of a classifier for one row of ids."""
    first = hidden_states(tensors, ids, kind=kind, **options)[0]
    name = "bert.pooler.dense" if kind == "bert" else "pre_classifier"
    pooled = first @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"]
    pooled = np.tanh(pooled) if kind == "bert" else np.maximum(pooled, 0)
    return pooled @ tensors["classifier.weight"].T + tensors["classifier.bias"]


def gelu(x, *, is_approximate):
    if is_approximate:
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def features(rows):
    """Rows of ids -> what a Keras classifier takes."""
    length = max(map(len, rows))
    ids = np.array([[*row, *[0] * (length - len(row))] for row in rows], np.int32)
    return {"token_ids": ids, "padding_mask": np.array([[1] * len(r) + [0] * (length - len(r)) for r in rows], bool)}


def assert_logits(classifier, tensors, kind, **options):
    """Checks a classifier's logits against those that NumPy computes from the tensors."""
    found = np.asarray(classifier(features(IDS), training=False))
    due = [logits(tensors, ids, kind=kind, **options) for ids in IDS]
    np.testing.assert_allclose(found, due, atol=2e-5)
