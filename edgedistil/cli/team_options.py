"""Option of `edgedistil train` about several workers, and how it is followed."""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edgedistil.cli.output import import_quietly
from edgedistil.data import LabelledTexts, MultiLabelTexts
from edgedistil.training.cluster import VARIABLE, Cluster, read_cluster
from edgedistil.training.settings import TrainingSettings

if TYPE_CHECKING:
    from edgedistil.training.tasks import AnyTrainingData
    from edgedistil.training.team import Team

__all__ = ["ARGUMENTS", "CommandWithArguments", "cluster_of", "join_team", "workers_option"]

ARGUMENTS = "edgedistil.arguments"
"""Key of the command's arguments, as they were given, in click's context."""

_Command = TypeVar("_Command", bound=Callable[..., Any])
_PACKAGES = ("edgedistil", "tensorflow", "keras", "keras-hub", "numpy")


class CommandWithArguments(click.Command):
    """A command that keeps its arguments, for children that run the same command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keeps a copy of the arguments."""
        ctx.meta[ARGUMENTS] = list(args)
        return super().parse_args(ctx, args)


def workers_option(command: _Command) -> _Command:
    """Adds `--workers` to a command.

    Example:
        >>> @click.command()
        ... @workers_option
        ... def learn(workers): ...
        >>> [parameter.name for parameter in learn.params]
        ['workers']
    """
    return click.option(
        "--workers",
        type=click.IntRange(min=1),
        help="Processes on this machine that train together, with a share of each batch each. On several machines, set "
        f"{VARIABLE} for each process (docs/scale.md). [1]",
    )(command)


def cluster_of(workers: int | None) -> Cluster | None:
    """The workers that the environment names; `None` in the process that the user started.

    Raises:
        click.UsageError: `--workers` is another number.
        InputError: The variable is malformed.
    """
    cluster = read_cluster()
    if cluster and workers and workers != cluster.size:
        raise click.UsageError(
            f"The environment variable {VARIABLE} names {cluster.size} workers, and --workers is {workers}. Leave "
            "--workers out, or remove the variable to start workers on this machine."
        )
    return cluster


def join_team(
    cluster: Cluster,
    settings: TrainingSettings,
    start: Sequence[Any],
    data: "AnyTrainingData",
    unlabelled: Iterable[Sequence[str]],
) -> "Team":
    """Waits for the other workers, and checks that they train the same thing.

    Args:
        cluster: The workers.
        settings: Settings of the training.
        start: What the training starts from, without paths.
        data: Labelled texts.
        unlabelled: Texts without labels.

    Raises:
        InputError: This process cannot listen at its address.
        WorkerError: Workers are missing, or have other data, options or versions.
        DataError: Settings that several workers cannot follow.
    """
    import_quietly("edgedistil.training.checks", "edgedistil.training.team", is_computing=False)
    from edgedistil.training.checks import check_team_settings
    from edgedistil.training.team import Team

    check_team_settings(settings, cluster.size)
    team = Team.join(cluster)
    versions = {name: version(name) for name in _PACKAGES}
    facts = {
        f"the versions of {', '.join(_PACKAGES)}": json.dumps(versions).encode(),
        "the options": json.dumps([settings.to_dict(), *map(str, start)], sort_keys=True).encode(),
        "the data (`training`)": _digest(data.training),
        "the data (`validation`)": _digest(data.validation),
        "the data (`test`)": _digest(data.test),
        "the texts (`unlabelled`)": _digest_of(text for texts in unlabelled for text in texts),
    }
    team.check_equal(facts)
    return team


def _digest(texts: LabelledTexts | MultiLabelTexts | None) -> bytes:
    if texts is None:
        return b""
    labels = texts.labels if isinstance(texts, LabelledTexts) else map(json.dumps, texts.label_sets)
    return _digest_of(part for pair in zip(texts.texts, labels, strict=True) for part in pair)


def _digest_of(texts: Iterable[str]) -> bytes:
    digest = hashlib.sha256()
    for text in texts:
        content = text.encode("utf-8", "surrogatepass")
        digest.update(len(content).to_bytes(8, "big") + content)
    return digest.digest()
