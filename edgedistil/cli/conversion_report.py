"""What `edgedistil convert` prints about a file."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgedistil.cli.output import describe_unknown_rule, print_json
from edgedistil_runtime.contract import CORALBOARD

if TYPE_CHECKING:
    from edgedistil_converters import Conversion, ParityReport
    from edgedistil_runtime.artifact import Artifact, EncoderPart

__all__ = ["report_conversion"]

_MOST_TEXTS_SHOWN = 10


def report_conversion(conversion: "Conversion", output: Path, *, is_json: bool) -> None:
    """Prints what is in the file and how it was verified: lines for people, or one JSON object."""
    artifact, parity = conversion.artifact, conversion.parity
    if is_json:
        print_json(_to_dict(conversion, output))
        return
    several = ", any number of them for a text" if artifact.metadata.thresholds else ""
    click.echo(f"{output}: {artifact.size / 1e6:.2f} MB, {len(artifact.metadata.labels)} classes{several}")
    _report_preparation(artifact.metadata.preparation)
    _report_parity(artifact, parity)
    if artifact.metadata.tokenizer.kind != "none":
        click.echo(f'next: edgedistil predict {output} "some text"')


def _to_dict(conversion: "Conversion", output: Path) -> dict[str, Any]:
    artifact = conversion.artifact
    return {
        "output": str(output),
        "bytes": artifact.size,
        "labels": list(artifact.metadata.labels),
        "problem_type": artifact.metadata.problem_type,
        "quantization": dict(artifact.metadata.quantization),
        "tokenizer": artifact.metadata.tokenizer.kind,
        "target": artifact.metadata.target,
        "encoder": asdict(artifact.metadata.encoder) if artifact.metadata.encoder else None,
        "oldest_runtime": artifact.metadata.oldest_runtime,
        "parity": conversion.parity.to_dict(),
        "preparation": dict(artifact.metadata.preparation),
    }


def _report_preparation(preparation: Mapping[str, Any]) -> None:
    """Prints what was done to the classifier before its conversion."""
    pruning = preparation.get("vocabulary_pruning")
    if pruning:
        click.echo(
            f"vocabulary pruned from {pruning['vocabulary_before']:,} to {pruning['vocabulary_after']:,} pieces: token "
            f"ids unchanged on {pruning['unchanged']:.1%} of the texts, and on about {pruning['unchanged_unseen']:.1%} "
            "of others like them"
        )
    calibration = preparation.get("score_calibration")
    if calibration:
        before, after = (calibration[key]["calibration_error"] for key in ("before", "after"))
        click.echo(
            f"scores calibrated on {calibration['texts']:,} texts ({calibration['source']}): temperature "
            f"{calibration['temperature']:.3g}, calibration error in Keras {before:.3f} before, {after:.3f} after"
        )
    if "tuning" in preparation:
        _report_tuning(preparation["tuning"])
    unknown = preparation.get("unknown_texts")
    if unknown:
        click.echo(describe_unknown_rule(unknown))


def _report_parity(artifact: "Artifact", parity: "ParityReport") -> None:
    """Prints how the file compares with Keras, and its parts with the file."""
    kind, different = artifact.metadata.tokenizer.kind, len(parity.differing_texts)
    equal = f"token ids equal on all but {different}" if different else "token ids equal"
    ids = "token ids in" if kind == "none" else equal
    click.echo(
        f"verified on {parity.texts} texts: {ids}, labels agree on {parity.label_agreement:.1%}, "
        f"largest difference of a probability {parity.largest_difference:.2g}"
    )
    _report_measures(parity)
    fixed = artifact.metadata.preparation.get("fixed_lengths")
    if fixed:
        click.echo(
            f"fixed lengths {', '.join(map(str, fixed['lengths']))}: largest difference of a probability from the "
            f"signatures of open shapes {max(fixed['largest_differences'].values()):.2g}"
        )
    if artifact.metadata.encoder is not None:
        _report_encoder(artifact.metadata.encoder, artifact.metadata.target)
    if different:
        click.echo("token ids differ from KerasHub's on:")
        for text in parity.differing_texts[:_MOST_TEXTS_SHOWN]:
            click.echo(f"  {text[:100]!r}")
        if different > _MOST_TEXTS_SHOWN:
            click.echo(f"  and {different - _MOST_TEXTS_SHOWN} more; --json lists them all")


def _report_tuning(tuning: Mapping[str, Any]) -> None:
    """Prints the plans that were tried, the fastest first."""
    click.echo(f"median time of {tuning['texts']} texts, {tuning['machine']}:")
    for plan in sorted(tuning["plans"], key=lambda plan: (bool(plan["refusal"]), plan["p50_ms"])):
        if plan["refusal"]:
            click.echo(f"  {plan['plan']}: refused by verification")
        else:
            click.echo(f"  {plan['plan']}: {plan['p50_ms']:.3f} ms, {plan['bytes'] / 1e6:.2f} MB")


def _report_measures(parity: "ParityReport") -> None:
    """Prints how the file does on the texts that it was judged on."""
    from edgedistil_converters.verification.samples import BUILTIN_TEXTS

    measures = parity.measures
    if measures is None:
        return
    low, high = measures.agreement_interval
    line = (
        f"judged on {measures.texts} texts ({parity.judged_on}): labels agree on {measures.agreement:.1%} "
        f"(95% interval {100 * low:.1f} to {100 * high:.1f}), probabilities differ by "
        f"{measures.mean_difference:.2g} on average and by {measures.p99_difference:.2g} at most on 99% of the texts"
    )
    if measures.accuracy is not None:
        line += f"; accuracy {measures.accuracy:.1%}, Keras {measures.keras_accuracy:.1%}"
    click.echo(line)
    if parity.judged_on == BUILTIN_TEXTS:
        click.echo("these texts are not like those that the model will classify; give some with --verification-data")


def _report_encoder(encoder: "EncoderPart", target: str) -> None:
    """Prints how the part for the accelerator compares with Keras, and where its ops run."""
    parity, mapping = encoder.parity, encoder.mapping
    click.echo(
        f"the part for {target}, run on this CPU: labels agree on {parity['label_agreement']:.1%}, largest difference "
        f"of a probability {parity['largest_difference']:.2g}; {', '.join(map(str, encoder.lengths))} tokens"
    )
    if target == CORALBOARD:
        simulated = mapping["simulated"]
        click.echo(
            f"on the NPU: {mapping['mapped']} ops; on the chip's small core: {mapping['on_css']}; "
            f"{mapping['cycles']:,} cycles, {mapping['estimated_milliseconds']:.1f} ms by the compiler's estimate"
        )
        click.echo(
            f"simulated: {simulated['texts']} texts, labels agree on {simulated['label_agreement']:.1%}, largest "
            f"difference of a probability {simulated['largest_difference']:.2g} from the encoder on this CPU, whose "
            f"kernels differ by up to {simulated['largest_spread_of_kernels']:.2g}"
        )
    elif mapping:
        left = mapping.get("on_cpu", 0)
        said = "by Coral's compiler" if encoder.is_compiled else "a prediction: no edgetpu_compiler is on the PATH"
        click.echo(f"on the Edge TPU: {mapping['mapped']} ops; on the CPU: {left} ({said})")
