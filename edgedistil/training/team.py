"""Workers that train one classifier: what they add up, and what they take from worker 0.

TensorFlow's `MultiWorkerMirroredStrategy` starts the server of each worker, connects them, adds up tensors by a ring of
all workers, and notices if one of them ends. `fit` of Keras 3 fails under that strategy, so the variables are those of
each process by itself: they begin equal, and change by the same gradients (`edgedistil.training.together`).
"""

import faulthandler
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from edgedistil.training.cluster import Cluster
from edgedistil.training.meeting import meet
from edgedistil_runtime.errors import WorkerError

__all__ = ["Team"]

_JOB = "worker"
_START_SECONDS = 300
_SILENCE_SECONDS = 120  # without a sign of life, a worker counts as lost; a busy machine was silent for 30
_STEP_SECONDS = 900  # how long the others wait for a worker that is alive and does not come to the end of a step
_DIGEST_BYTES = 32
_MOST_DIMENSIONS = 4
_PROBLEMS = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.DeadlineExceededError)
_MORE_PROBLEMS = (tf.errors.InternalError, tf.errors.CancelledError, tf.errors.UnknownError)
_TASK = re.compile(rf"/job:{_JOB}/(?:replica:\d+/)?task:(\d+)")


class Team:
    """The workers that this process trains with.

    Args:
        cluster: The workers.
        strategy: The strategy that connects them.
    """

    def __init__(self, cluster: Cluster, strategy: Any) -> None:
        self.cluster, self._strategy = cluster, strategy
        # Of each type once: TensorFlow numbers sums when it traces them, and all workers must number alike.
        self._sums = {
            name: tf.function(
                lambda values: self._add_up(values, seconds=0.0), input_signature=[tf.TensorSpec([None], name)]
            )
            for name in ("float32", "float64", "int32", "int64")
        }

    @classmethod
    def join(cls, cluster: Cluster, *, seconds: int = _START_SECONDS) -> "Team":
        """Waits until all workers are there, and connects them.

        It comes before anything else that TensorFlow computes in this process.

        Args:
            cluster: The workers.
            seconds: How long to wait for the others.

        Raises:
            InputError: This process cannot listen at its address.
            WorkerError: Workers are missing, or TensorFlow has computed something before.
        """
        meet(cluster, seconds=seconds)
        # TensorFlow waits for a worker that is gone in a call that no signal ends.
        faulthandler.dump_traceback_later(seconds, exit=True)
        try:
            _configure(cluster, seconds)
            resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
                tf.train.ClusterSpec({_JOB: list(cluster.addresses)}),
                task_type=_JOB,
                task_id=cluster.index,
                rpc_layer="grpc",
            )
            strategy = tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
        except RuntimeError as error:
            raise WorkerError(
                "Workers join before TensorFlow computes anything in a process. Join them at the beginning of the "
                f"program. Received: {error}"
            ) from error
        except tf.errors.OpError as error:
            raise WorkerError(
                f"The workers were there, but {cluster.name()} could not be connected with them: "
                f"{_lost(cluster, error)}. Start all of them again. Received: {_first_line(error)}"
            ) from error
        finally:
            faulthandler.cancel_dump_traceback_later()
        return cls(cluster, strategy)

    @property
    def size(self) -> int:
        """Number of workers."""
        return self.cluster.size

    @property
    def index(self) -> int:
        """Number of this worker."""
        return self.cluster.index

    @property
    def is_chief(self) -> bool:
        """True for worker 0, which writes the result."""
        return self.cluster.is_chief

    def add_up(self, values: Any) -> Any:
        """Returns the sum of the workers' values, a tensor of the same shape: to be called in a `tf.function`."""
        return self._add_up(values, seconds=_STEP_SECONDS)

    def sum(self, values: NDArray[Any]) -> NDArray[Any]:
        """Returns the sum of the workers' values; waits for the others as long as they live.

        Args:
            values: Array of float32, float64, int32 or int64.

        Raises:
            WorkerError: One of them was lost.
        """
        flat = np.ascontiguousarray(values).reshape(-1)
        with self.watched():
            return np.asarray(self._sums[flat.dtype.name](tf.constant(flat)).numpy()).reshape(values.shape)

    def wait(self) -> None:
        """Returns when all workers have come here.

        Raises:
            WorkerError: One of them was lost.
        """
        self.sum(np.zeros(1, "int32"))

    def bytes_from_chief(self, content: bytes) -> bytes:
        """Returns the bytes that worker 0 passes; what the others pass is not used."""
        sent = content if self.is_chief else b""
        length = int(self.sum(np.array([len(sent)], "int64"))[0])
        padded = np.zeros(-(-length // 4) or 1, "int32")
        padded.view("uint8")[: len(sent)] = np.frombuffer(sent, "uint8")
        return self.sum(padded).tobytes()[:length]

    def array_from_chief(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns the array that worker 0 passes; what the others pass is not used."""
        shape = np.zeros(_MOST_DIMENSIONS + 1, "int64")  # the number of dimensions, and they
        if self.is_chief:
            shape[: values.ndim + 1] = [values.ndim, *values.shape]
        dimensions, *sizes = self.sum(shape).tolist()
        sent = values if self.is_chief else np.zeros(sizes[:dimensions], "float32")
        return np.asarray(self.sum(sent) if sent.size else sent, "float32")

    def assign_from_chief(self, variables: Sequence[Any]) -> None:
        """Gives variables the values that they have in worker 0."""
        for variable in variables:
            value = np.asarray(variable)
            variable.assign(self.sum(value if self.is_chief else np.zeros_like(value)))

    def check_equal(self, facts: Mapping[str, bytes]) -> None:
        """Checks that all workers have the same values.

        Args:
            facts: What it is -> its content or digest; all workers pass the same names in the same order.

        Raises:
            WorkerError: Some have others than worker 0; the message names them.
        """
        digests = np.zeros((self.size, len(facts), _DIGEST_BYTES), "int32")
        for place, content in enumerate(facts.values()):
            digests[self.index, place] = np.frombuffer(hashlib.sha256(content).digest(), "uint8")
        found = self.sum(digests)
        is_other = (found != found[0]).any(axis=2)  # [workers, facts]
        if not is_other.any():
            return
        places, workers = np.flatnonzero(is_other.any(axis=0)), np.flatnonzero(is_other.any(axis=1))
        raise WorkerError(
            f"All workers must train the same thing, and {', '.join(self.cluster.name(int(one)) for one in workers)} "
            f"differs from {self.cluster.name(0)} in: {', '.join(list(facts)[place] for place in places)}. Start all "
            "of them with the same command, the same files and the same versions"
        )

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Turns TensorFlow's errors about other workers into errors that name the worker.

        Raises:
            WorkerError: One of them was lost.
        """
        try:
            yield
        except (*_PROBLEMS, *_MORE_PROBLEMS) as error:
            text = str(error)
            if "ollective" not in text and not _TASK.search(text):
                raise
            raise WorkerError(
                f"The training ended in {self.cluster.name()}, because {_lost(self.cluster, error)}. See its own "
                "messages for the reason. If a whole epoch was done, start all workers again with the same command and "
                f"`is_resumed`, and they go on after it. Received: {_first_line(error)}"
            ) from error

    def _add_up(self, values: Any, *, seconds: float) -> Any:
        options = tf.distribute.experimental.CommunicationOptions(timeout_seconds=seconds or None)

        def of_worker(own: Any) -> Any:
            # The identity has a device, which the strategy asks for.
            return tf.distribute.get_replica_context().all_reduce("sum", tf.identity(own), options)

        return self._strategy.run(of_worker, args=(values,))


def _configure(cluster: Cluster, seconds: int) -> None:
    """Sets how long TensorFlow waits for workers, which its strategies leave at an hour."""
    from tensorflow.compiler.xla.tsl.protobuf import coordination_config_pb2 as messages
    from tensorflow.python.eager import context

    context.context().configure_coordination_service(
        service_type="standalone",
        service_leader=f"/job:{_JOB}/replica:0/task:0",
        cluster_register_timeout_in_ms=seconds * 1000,
        heartbeat_timeout_in_ms=_SILENCE_SECONDS * 1000,
        shutdown_barrier_timeout_in_ms=_SILENCE_SECONDS * 1000,
        coordinated_jobs=[messages.CoordinatedJob(name=_JOB, num_tasks=cluster.size)],
    )


def _lost(cluster: Cluster, error: Exception) -> str:
    """Says which workers an error of TensorFlow is about."""
    text = str(error)
    # A report has the sender first and then the workers that it is about.
    about = text.partition("unhealthy")[2] or text
    found = sorted({int(number) for number in _TASK.findall(about)} - {cluster.index})
    known = [number for number in found if number < cluster.size]
    if not known:
        return "another worker ended or does not answer"
    return " and ".join(cluster.name(number) for number in known) + " ended or does not answer"


def _first_line(error: Exception) -> str:
    """The reason, without TensorFlow's lines about graphs."""
    lines = [line.strip() for line in str(error).splitlines()]
    reasons = [line for line in lines if "aborted by" in line or "Error" in line or "imeout" in line]
    return (reasons or [line for line in lines if line] or [type(error).__name__])[0][:200]
