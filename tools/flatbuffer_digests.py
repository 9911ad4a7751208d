"""Prints the SHA-256 of every flatbuffer that one small classifier gives: all schemes, targets and tokenizers.

    python tools/flatbuffer_digests.py > before.txt
    python tools/flatbuffer_digests.py --against before.txt

Equal classifiers give equal files, so a change of the code that should not change a file can be held to this list. The
digests belong to one machine and one set of packages: compare lists that were made on the same machine.
"""

import argparse
import fnmatch
import hashlib
import itertools
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_WORDS = (
    *("turn", "on", "off", "the", "light", "lights", "music", "play", "stop", "is", "it", "a", "in", "kitchen", "room"),
    *("and", "not", "please", "hög", "wer", "1", "2", "?", "!", "."),
)
_CHARACTERS = "abcdefghijklmnopqrstuvwxyzäöüé0123456789?!.,'-"
_LABELS = ("lights", "music", "hög")
_SCHEMES = ("fp32", "fp16", "int8", "int4", "int8-static", "int8-qat")
_TARGET_SCHEMES = {"cpu": _SCHEMES, "gpu": ("fp32", "fp16", "int8"), "edgetpu": ("int8-static", "int8-qat")}
_TEXTS = tuple(" ".join(words) for words in itertools.islice(itertools.permutations(_WORDS[:9], 3), 0, None, 9))


@dataclass(frozen=True)
class Case:
    """One conversion.

    Attributes:
        scheme: a key of `SCHEMES`.
        target: `cpu`, `gpu` or `edgetpu`.
        interface: arguments of `ModelInterface`.
        preset: which of the small classifiers.
        layers: (pattern, scheme) of single layers.
        oldest_runtime: as in `QuantizationPlan`.
        is_calibrated: whether int4 weights are rounded on texts.
        is_pruned: whether the vocabulary is pruned first.
    """

    scheme: str
    target: str = "cpu"
    interface: tuple[tuple[str, object], ...] = ()
    preset: str = "plain"
    layers: tuple[tuple[str, str], ...] = ()
    oldest_runtime: str = ""
    is_calibrated: bool = False
    is_pruned: bool = False

    @property
    def name(self) -> str:
        """The case in one word for the list."""
        parts = [self.scheme, self.target, *(f"{key}={value}" for key, value in self.interface)]
        parts += [f"{pattern}={scheme}" for pattern, scheme in self.layers]
        parts += [self.oldest_runtime] if self.oldest_runtime else []
        parts += ["gptq"] if self.is_calibrated else []
        parts += ["pruned"] if self.is_pruned else []
        return "/".join([self.preset, *parts])


def cases() -> Iterator[Case]:
    """Every legal combination of scheme, target and tokenizer, and one case of each other option."""
    interfaces: tuple[tuple[tuple[str, object], ...], ...] = (
        (),
        (("takes_text_pair", True),),
        (("tokenizer", "tftext"),),
        (("tokenizer", "none"),),
        (("tokenizer", "none"), ("metadata", "mediapipe")),
    )
    for target, schemes in _TARGET_SCHEMES.items():
        for scheme in schemes:
            for interface in interfaces:
                is_for_hosts = ("tokenizer", "tftext") in interface or "metadata" in dict(interface)
                if target == "cpu" or not is_for_hosts:
                    yield Case(scheme, target, interface)
    for preset in ("sigmoid", "no_layers", "special_tokens"):
        for scheme in ("fp32", "int8", "int8-static"):
            yield Case(scheme, preset=preset)
    yield Case("int8", layers=(("transformer_layer_0/*", "fp32"), ("*_embeddings", "int4")))
    yield Case("int8-static", layers=(("*/query", "fp32"),))
    yield Case("int8", oldest_runtime="2.14")
    yield Case("int4", is_calibrated=True)
    yield Case("int8", is_pruned=True)


def write_presets(folder: Path) -> None:
    """Writes the small classifiers as preset directories, with weights that depend on nothing but this code."""
    import keras_hub

    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *dict.fromkeys(_WORDS)]
    vocabulary += [c for c in _CHARACTERS if c not in vocabulary] + [f"##{c}" for c in _CHARACTERS]
    for name, options in {
        "plain": {},
        "sigmoid": {"num_classes": 1, "activation": "sigmoid"},
        "no_layers": {"num_layers": 0},
        "special_tokens": {"special_tokens_in_strings": True},
    }.items():
        tokenizer = keras_hub.models.DistilBertTokenizer(
            vocabulary=vocabulary,
            lowercase=True,
            special_tokens_in_strings=options.get("special_tokens_in_strings", False),
        )
        classifier = keras_hub.models.DistilBertTextClassifier(
            keras_hub.models.DistilBertBackbone(
                vocabulary_size=len(vocabulary),
                num_layers=options.get("num_layers", 2),
                num_heads=2,
                hidden_dim=32,
                intermediate_dim=48,
                max_sequence_length=24,
            ),
            num_classes=options.get("num_classes", len(_LABELS)),
            activation=options.get("activation"),
            preprocessor=keras_hub.models.DistilBertTextClassifierPreprocessor(tokenizer, sequence_length=20),
        )
        generator = np.random.default_rng(5)
        for variable in classifier.weights:
            noise = generator.normal(0, 0.15, variable.shape).astype(np.float32)
            variable.assign(noise + (1 if variable.path.endswith("gamma") else 0))
        classifier.save_to_preset(str(folder / name))


def digests(case: Case, presets: Path, folder: Path) -> Iterator[tuple[str, str]]:
    """Converts a case: (SHA-256, name) of its flatbuffer, and of its part for an accelerator; or the error's name."""
    from edgedistil.conversion import ConversionRequest, convert_preset
    from edgedistil.data import LabelledTexts
    from edgedistil_converters.interface import ModelInterface
    from edgedistil_converters.quantization.plan import LayerScheme, QuantizationPlan
    from edgedistil_runtime.errors import ConversionError

    labels = _LABELS[:1] if case.preset == "sigmoid" else _LABELS
    training = LabelledTexts(_TEXTS, tuple(_LABELS[len(text) % 3] for text in _TEXTS))
    request = ConversionRequest(
        str(presets / case.preset),
        folder / "file.tflite",
        plan=QuantizationPlan(case.scheme, tuple(LayerScheme(*layer) for layer in case.layers), case.oldest_runtime),
        interface=ModelInterface(**dict(case.interface)),
        labels=labels,
        training=training if case.scheme == "int8-qat" else None,
        calibration_texts=_TEXTS if case.scheme == "int8-static" or case.is_calibrated else (),
        pruning_texts=_TEXTS[:20] if case.is_pruned else (),
        target=case.target,
        force=True,
    )
    try:
        artifact = convert_preset(request).artifact
    except ConversionError as error:
        yield f"refused:{type(error).__name__}", case.name
        return
    yield hashlib.sha256(artifact.flatbuffer()).hexdigest(), case.name
    if artifact.metadata.encoder is not None:
        yield hashlib.sha256(artifact.encoder().model).hexdigest(), f"{case.name}/encoder"


def main() -> int:
    """Prints the list, or compares it with another one: exit status 1 if a digest differs or is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--against", type=Path, help="a list made before; prints what differs from it")
    parser.add_argument("--only", default="*", help="cases by name, with * and ? as in a shell")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edgedistil-") as folder:
        write_presets(Path(folder))
        found = {}
        for case in cases():
            if fnmatch.fnmatch(case.name, arguments.only):
                for digest, name in digests(case, Path(folder), Path(folder)):
                    found[name] = digest
                    if arguments.against is None:
                        print(digest, name, flush=True)
    if arguments.against is None:
        return 0
    lines = (line.split(" ", 1) for line in arguments.against.read_text(encoding="utf-8").splitlines())
    before = {name: digest for digest, name in lines if fnmatch.fnmatch(name, arguments.only)}
    different = sorted(name for name in before.keys() | found.keys() if before.get(name) != found.get(name))
    print(f"{len(before)} before, {len(found)} now, {len(different)} different", *different, sep="\n")
    return bool(different)


if __name__ == "__main__":
    sys.exit(main())
