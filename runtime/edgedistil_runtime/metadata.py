"""Metadata of an artifact: the dataclasses of `edgedistil.json`, written and read strictly."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from edgedistil_runtime.compiled_tensors import CompiledTensor, read_compiled_tensors
from edgedistil_runtime.contract import (
    CORALBOARD,
    CPU,
    HUGGING_FACE,
    KERAS_HUB,
    LONGEST_FIRST,
    METADATA_MEMBER,
    MULTI_LABEL_CLASSIFICATION,
    MULTI_LABEL_SCHEMA_VERSION,
    NPU,
    RULES,
    SCHEMA_VERSION,
    SCORE_CALIBRATION,
    SINGLE_LABEL_CLASSIFICATION,
    TARGETS,
    TOKENIZER_KINDS,
    TRUNCATIONS,
)
from edgedistil_runtime.decision import Decision
from edgedistil_runtime.errors import ArtifactError
from edgedistil_runtime.json_fields import JsonFields, parse_json
from edgedistil_runtime.tokenizer_settings import AddedToken, TokenizerSettings
from edgedistil_runtime.unknown_texts import UnknownRule, read_unknown_rule

__all__ = [
    "METADATA_MEMBER",
    "SCHEMA_VERSION",
    "TARGETS",
    "TOKENIZER_KINDS",
    "TRUNCATIONS",
    "AddedToken",
    "ArtifactMetadata",
    "CompiledTensor",
    "EncoderPart",
    "GoldenCase",
    "TokenizerSettings",
]


@dataclass(frozen=True)
class GoldenCase:
    """A text or pair of texts with the token ids and probabilities of the float Keras classifier.

    Attributes:
        text: The first or only text.
        token_ids: Token ids with special tokens and without padding.
        probabilities: One probability per label.
        text_pair: The second text; None for single texts.

    Example:
        >>> from edgedistil_runtime import read_artifact
        >>> metadata = read_artifact("intents.tflite").metadata
        >>> case = metadata.golden_cases[0]
        >>> len(case.probabilities) == len(metadata.labels), case.token_ids[0] == metadata.tokenizer.start_id
        (True, True)
    """

    text: str
    token_ids: tuple[int, ...]
    probabilities: tuple[float, ...]
    text_pair: str | None = None


@dataclass(frozen=True)
class EncoderPart:
    """Description of the part that an accelerator runs, a second flatbuffer: embeddings in, probabilities out.

    Attributes:
        lengths: Row lengths that it takes, ascending. Rows are padded to the shortest that holds them; the last
            length is the tokenizer's `sequence_length`.
        is_compiled: The artifact also has the output of the accelerator's compiler.
        parity: Comparison of this part, run on a CPU, with the Keras classifier at conversion.
        mapping: Ops that the accelerator runs; `source` states if this is a prediction or the compiler's report.
            Empty for an accelerator that takes a model whole.
        tensors: Inputs of the compiled encoder in the order of its arguments, then its output; empty if the compiled
            encoder itself has their names and scales.

    Example:
        >>> EncoderPart(lengths=(16, 32, 48), is_compiled=False).lengths[-1]
        48
    """

    lengths: tuple[int, ...]
    is_compiled: bool
    parity: Mapping[str, Any] = field(default_factory=dict)
    mapping: Mapping[str, Any] = field(default_factory=dict)
    tensors: tuple[CompiledTensor, ...] = ()


@dataclass(frozen=True)
class ArtifactMetadata:
    """The content of `edgedistil.json`.

    Attributes:
        name: Name of the model, for people.
        labels: Class names, in the order of `probabilities`.
        tokenizer: Settings of the tokenizer.
        quantization: The quantization plan as plain data; `scheme` is its name.
        target: `cpu`, `gpu`, `edgetpu`, `coralboard` or `npu`.
        golden_cases: Self-test that the runtime replays before the first text.
        tolerance: Largest absolute difference of a probability that the replay allows.
        parity: Comparison with the Keras classifier at conversion.
        model: Architecture: layers, widths, parameters.
        encoder: Description of the part for an accelerator; None for the targets `cpu` and `npu`.
        preparation: Changes to the trained classifier before conversion, with their effects.
        versions: Versions of the packages that made the file.
        oldest_runtime: Oldest TFLite runtime that supports every op version in the file.
        flatbuffer_size: Number of bytes before the ZIP archive.
        flatbuffer_sha256: Hex digest of those bytes.
        schema_version: Version of this JSON's schema: 2 if there are thresholds, else 1.
        thresholds: Smallest probability of each label that the model gives a text, in the order of `labels`, if it
            gives a text all labels that reach their thresholds; empty if it gives every text the best label.

    Example:
        >>> from edgedistil_runtime import read_artifact
        >>> metadata = read_artifact("intents.tflite").metadata
        >>> metadata.quantization["scheme"], metadata.labels
        ('int8', ('lights', 'music', 'weather'))
        >>> ArtifactMetadata.from_json(metadata.to_json()) == metadata
        True
    """

    name: str
    labels: tuple[str, ...]
    tokenizer: TokenizerSettings
    quantization: Mapping[str, Any]
    target: str
    golden_cases: tuple[GoldenCase, ...]
    tolerance: float
    parity: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    encoder: EncoderPart | None = None
    preparation: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    oldest_runtime: str = ""
    flatbuffer_size: int = 0
    flatbuffer_sha256: str = ""
    schema_version: int = SCHEMA_VERSION
    thresholds: tuple[float, ...] = ()

    @cached_property
    def decision(self) -> Decision:
        """How labels follow from probabilities.

        Example:
            >>> from edgedistil_runtime import read_artifact
            >>> read_artifact("intents.tflite").metadata.decision
            Decision(thresholds=())
        """
        return Decision(self.thresholds)

    @property
    def problem_type(self) -> str:
        """`single_label_classification`, or `multi_label_classification` for a model with thresholds.

        Example:
            >>> from edgedistil_runtime import read_artifact
            >>> read_artifact("intents.tflite").metadata.problem_type
            'single_label_classification'
        """
        return MULTI_LABEL_CLASSIFICATION if self.thresholds else SINGLE_LABEL_CLASSIFICATION

    @cached_property
    def unknown_rule(self) -> UnknownRule | None:
        """Rule by which a text has none of the labels; None if the model has none.

        Raises:
            ArtifactError: The rule is damaged; `from_json` raises it too.

        Example:
            >>> from edgedistil_runtime import read_artifact
            >>> read_artifact("intents.tflite").metadata.unknown_rule is None
            True
        """
        return read_unknown_rule(self.preparation, self.labels)

    @property
    def temperature(self) -> float:
        """What the logits were divided by to calibrate scores; 1 if they were not. The division is in the model.

        Example:
            >>> from edgedistil_runtime import read_artifact
            >>> read_artifact("intents.tflite").metadata.temperature
            1.0
        """
        record = self.preparation.get(SCORE_CALIBRATION)
        found = record.get("temperature") if isinstance(record, Mapping) else None
        if isinstance(found, bool) or not isinstance(found, (int, float)) or not 0 < found < math.inf:
            return 1.0
        return float(found)

    def to_json(self) -> str:
        """Return the metadata as a JSON document: two-space indent, keys in the order above.

        A tokenizer with KerasHub's rules has none of the keys `_RULES_KEYS`, so that runtimes from before these keys
        read it. They refuse a file with other rules, because they know none of its keys. In the same way, the key
        `thresholds` and schema version 2 are only in the file of a multi-label model, and the key `tensors` of the
        encoder only in a file for the Coralboard.
        """
        data = dataclasses.asdict(self)
        if not self.thresholds:
            del data["thresholds"]
        if self.encoder is not None and not self.encoder.tensors:
            del data["encoder"]["tensors"]
        if self.tokenizer.rules == KERAS_HUB:
            for key in _RULES_KEYS:
                del data["tokenizer"][key]
        return json.dumps(data, ensure_ascii=False, indent=2) + "\n"

    @classmethod
    def from_json(cls, document: str | bytes) -> ArtifactMetadata:
        """Read a document of `to_json`.

        Raises:
            ArtifactError: Invalid JSON, another schema version, a missing or unknown key, or a value of a wrong type.
        """
        data = parse_json(document, METADATA_MEMBER)
        if not isinstance(data, dict):
            raise ArtifactError(f"{METADATA_MEMBER} must hold a JSON object. Received: {type(data).__name__}.")
        version = data.get("schema_version")
        if version not in (SCHEMA_VERSION, MULTI_LABEL_SCHEMA_VERSION) or isinstance(version, bool):
            raise ArtifactError(
                f"The artifact has schema version {version!r}; this runtime reads the versions {SCHEMA_VERSION} and "
                f"{MULTI_LABEL_SCHEMA_VERSION}. "
                "Install the edgedistil-runtime that matches the edgedistil that wrote the file, or convert again."
            )
        return _metadata_from_dict(data)


_RULES_KEYS = ("rules", "clean_text", "max_input_chars_per_word", "added_tokens")


def _keys(kind: type) -> list[str]:
    return [item.name for item in dataclasses.fields(kind)]


def _metadata_from_dict(data: Any) -> ArtifactMetadata:
    is_multi_label = data["schema_version"] == MULTI_LABEL_SCHEMA_VERSION
    keys = [key for key in _keys(ArtifactMetadata) if key != "thresholds" or is_multi_label]
    fields = JsonFields(data, METADATA_MEMBER, keys=keys)
    labels = fields.strings("labels")
    tokenizer = _tokenizer_from_dict(fields.mapping("tokenizer"))
    quantization = fields.mapping("quantization")
    if not isinstance(quantization.get("scheme"), str):
        raise fields.invalid("quantization", "an object whose key `scheme` names the plan")
    target = fields.one_of("target", TARGETS)
    if (data["encoder"] is None) != (target in (CPU, NPU)):
        raise fields.invalid("encoder", "null for the targets cpu and npu, and an object for any other")
    read_unknown_rule(fields.mapping("preparation"), labels)
    versions = fields.mapping("versions")
    if not all(isinstance(version, str) for version in versions.values()):
        raise fields.invalid("versions", "an object of strings")
    return ArtifactMetadata(
        name=fields.string("name"),
        labels=labels,
        tokenizer=tokenizer,
        quantization=quantization,
        target=target,
        golden_cases=tuple(
            _golden_case_from_dict(case, number, tokenizer=tokenizer, num_classes=len(labels))
            for number, case in enumerate(fields.array("golden_cases"))
        ),
        tolerance=fields.fraction("tolerance"),
        parity=fields.mapping("parity"),
        model=fields.mapping("model"),
        encoder=None if data["encoder"] is None else _encoder_from_dict(data["encoder"], tokenizer, target),
        preparation=fields.mapping("preparation"),
        versions=versions,
        oldest_runtime=fields.string("oldest_runtime", may_be_empty=True),
        flatbuffer_size=fields.integer("flatbuffer_size", minimum=8),  # a flatbuffer's root and its identifier
        flatbuffer_sha256=fields.sha256("flatbuffer_sha256"),
        schema_version=fields.integer("schema_version", minimum=1),
        thresholds=_thresholds(fields, len(labels)) if is_multi_label else (),
    )


def _thresholds(fields: JsonFields, count: int) -> tuple[float, ...]:
    thresholds = fields.probabilities("thresholds", count=count)
    if not all(0 < threshold < 1 for threshold in thresholds):
        raise fields.invalid("thresholds", "numbers greater than 0 and less than 1, one per label")
    return thresholds


def _tokenizer_from_dict(data: Any) -> TokenizerSettings:
    keys = _keys(TokenizerSettings)
    if isinstance(data, dict) and "rules" not in data:
        keys = [key for key in keys if key not in _RULES_KEYS]
    fields = JsonFields(data, f"{METADATA_MEMBER}: tokenizer", keys=keys)
    settings = TokenizerSettings(
        kind=fields.one_of("kind", TOKENIZER_KINDS),
        sequence_length=fields.integer("sequence_length", minimum=1),
        lowercase=fields.boolean("lowercase"),
        strip_accents=fields.boolean("strip_accents"),
        split=fields.boolean("split"),
        split_on_cjk=fields.boolean("split_on_cjk"),
        suffix_indicator=fields.string("suffix_indicator", may_be_empty=True),
        oov_token=fields.string("oov_token"),
        special_tokens_in_strings=fields.boolean("special_tokens_in_strings"),
        special_tokens=fields.strings("special_tokens", may_be_empty=True),
        truncate=fields.one_of("truncate", TRUNCATIONS),
        vocabulary_size=fields.integer("vocabulary_size", minimum=1),
        vocabulary_sha256=fields.sha256("vocabulary_sha256"),
        start_id=fields.integer("start_id"),
        end_id=fields.integer("end_id"),
        pad_id=fields.integer("pad_id"),
        unknown_id=fields.integer("unknown_id"),
        **(_rules_from_fields(fields) if "rules" in keys else {}),
    )
    if (settings.truncate == LONGEST_FIRST) != (settings.rules == HUGGING_FACE):
        raise fields.invalid("truncate", f"{LONGEST_FIRST} if and only if the rules are {HUGGING_FACE}")
    if settings.added_tokens and max(token.id for token in settings.added_tokens) >= settings.vocabulary_size:
        raise fields.invalid("added_tokens", f"tokens with ids below vocabulary_size, {settings.vocabulary_size}")
    for key in ("start_id", "end_id", "pad_id", "unknown_id"):
        if getattr(settings, key) >= settings.vocabulary_size:
            raise fields.invalid(key, f"less than vocabulary_size, which is {settings.vocabulary_size}")
    return settings


def _rules_from_fields(fields: JsonFields) -> dict[str, Any]:
    tokens = fields.array("added_tokens", may_be_empty=True)
    return {
        "rules": fields.one_of("rules", RULES),
        "clean_text": fields.boolean("clean_text"),
        "max_input_chars_per_word": fields.integer("max_input_chars_per_word"),
        "added_tokens": tuple(_added_token_from_dict(token, number) for number, token in enumerate(tokens)),
    }


def _added_token_from_dict(data: Any, number: int) -> AddedToken:
    keys = _keys(AddedToken)
    fields = JsonFields(data, f"{METADATA_MEMBER}: tokenizer: added_tokens[{number}]", keys=keys)
    flags = {key: fields.boolean(key) for key in keys if key not in ("content", "id")}
    return AddedToken(content=fields.string("content"), id=fields.integer("id"), **flags)


def _encoder_from_dict(data: Any, tokenizer: TokenizerSettings, target: str) -> EncoderPart:
    where = f"{METADATA_MEMBER}: encoder"
    keys = [key for key in _keys(EncoderPart) if key != "tensors" or target == CORALBOARD]
    fields = JsonFields(data, where, keys=keys)
    lengths = fields.integers("lengths", below=tokenizer.sequence_length + 1)
    if (
        not lengths
        or lengths[0] < 1
        or list(lengths) != sorted(set(lengths))
        or lengths[-1] != tokenizer.sequence_length
    ):
        raise fields.invalid("lengths", f"ascending numbers from 1 to the sequence length, {tokenizer.sequence_length}")
    return EncoderPart(
        lengths=lengths,
        is_compiled=fields.boolean("is_compiled"),
        parity=fields.mapping("parity"),
        mapping=fields.mapping("mapping"),
        tensors=read_compiled_tensors(fields.array("tensors"), f"{where}: tensors") if "tensors" in keys else (),
    )


def _golden_case_from_dict(data: Any, number: int, *, tokenizer: TokenizerSettings, num_classes: int) -> GoldenCase:
    fields = JsonFields(data, f"{METADATA_MEMBER}: golden_cases[{number}]", keys=_keys(GoldenCase))
    token_ids = fields.integers("token_ids", below=tokenizer.vocabulary_size)
    if len(token_ids) > tokenizer.sequence_length:
        raise fields.invalid("token_ids", f"at most {tokenizer.sequence_length} ids, the sequence length")
    return GoldenCase(
        text=fields.string("text", may_be_empty=True),
        token_ids=token_ids,
        probabilities=fields.probabilities("probabilities", count=num_classes),
        text_pair=fields.optional_string("text_pair"),
    )
