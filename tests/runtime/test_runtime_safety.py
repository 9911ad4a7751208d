"""A classifier under threads, forks, interrupts, many calls, and changes of its file."""

import multiprocessing
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

from edgedistil_runtime import ArtifactError, TextClassifier
from edgedistil_runtime.backends.interpreters import LARGEST_IN_MEMORY
from edgedistil_runtime.backends.run_lock import run_lock

from ..conftest import HANG

TEXTS = ["", "a", "hello", "größer 日本", "z" * 100]
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


@pytest.fixture
def classifier(echo_path):
    with TextClassifier(echo_path, num_threads=2) as classifier:
        yield classifier


def labels_of(classifier):
    return [answer.label for answer in map(classifier.classify, TEXTS)]


def in_child(work):
    """Run a function in a forked child; return its exit status, 0 if the function returned true."""
    child = os.fork()
    if child == 0:
        status = 2
        try:
            status = 0 if work() else 1
        finally:
            os._exit(status)
    alarm = threading.Timer(HANG, os.kill, (child, signal.SIGKILL))
    alarm.start()
    _, status = os.waitpid(child, 0)
    alarm.cancel()
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else f"signal {os.WTERMSIG(status)}"


class TestThreads:
    def test_single_texts_and_batches_from_many_threads(self, classifier):
        due = {text: classifier.classify(text) for text in TEXTS}
        wrong, finished = [], []

        def work(number):
            for _ in range(30):
                texts = TEXTS[number % 3 :] + TEXTS[: number % 3]
                wrong.extend(text for text in texts if classifier.classify(text) != due[text])
                for answer in classifier.classify_batch(texts):
                    close = np.allclose(
                        list(answer.probabilities.values()), list(due[answer.text].probabilities.values()), atol=1e-6
                    )
                    wrong.extend([] if close else [answer.text])
            finished.append(number)

        threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(HANG)
        assert (sorted(finished), wrong) == (list(range(6)), [])


@forks
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
class TestFork:
    def test_a_child_goes_on(self, classifier):
        due = labels_of(classifier)
        assert in_child(lambda: labels_of(classifier) == due) == 0
        assert in_child(classifier.close) == 1  # it returns None, and did not hang
        assert labels_of(classifier) == due

    def test_a_fork_amid_runs_of_another_thread(self, classifier):
        due, stopped = labels_of(classifier), threading.Event()

        def work():
            while not stopped.is_set():
                classifier.classify_batch(TEXTS)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            assert [in_child(lambda: labels_of(classifier) == due) for _ in range(10)] == [0] * 10
        finally:
            stopped.set()
            thread.join(HANG)

    def test_no_lock_is_taken_in_a_child(self):
        lock = run_lock()
        holds, may_end = threading.Event(), threading.Event()

        def hold():
            with lock:
                holds.set()
                may_end.wait(HANG)

        thread = threading.Thread(target=hold)
        thread.start()
        holds.wait(HANG)
        threading.Timer(0.2, may_end.set).start()
        assert in_child(lambda: lock.acquire(timeout=1)) == 0
        thread.join(HANG)
        assert lock.acquire(timeout=1)


def _label_in_a_process(path):
    with TextClassifier(path) as classifier:
        return labels_of(classifier)


class TestSpawn:
    def test_a_classifier_is_not_sent(self, classifier):
        with pytest.raises(TypeError, match="Open the file in that process"):
            pickle.dumps(classifier)

    def test_each_process_opens_the_file(self, classifier, echo_path):
        code = "import sys; from edgedistil_runtime import TextClassifier; print(TextClassifier(sys.argv[1]).labels)"
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-c", code, str(echo_path)]
        done = subprocess.run(command, env=environment, capture_output=True, timeout=HANG, check=True, text=True)
        assert done.stdout.strip() == str(classifier.labels)

    @forks
    @pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
    def test_a_pool_of_forked_workers(self, classifier, echo_path):
        due = labels_of(classifier)
        with multiprocessing.get_context("fork").Pool(2) as pool:
            assert pool.map_async(_label_in_a_process, [str(echo_path)] * 4).get(HANG) == [due] * 4


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="no /proc")  # noqa: PTH110
def test_a_hundred_thousand_calls_with_flat_memory(classifier):
    def resident():
        with open("/proc/self/statm") as file:  # noqa: PTH123
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def call(count):
        for number in range(count):
            classifier.classify(TEXTS[number % 4])

    call(2_000)
    before = resident()
    call(98_000)
    assert resident() - before < 2_000_000


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_leaves_the_classifier_usable(classifier):
    due, is_over = labels_of(classifier), threading.Event()

    def interrupt():
        """Repeatedly, because Python drops exceptions in destructors."""
        while not is_over.wait(0.5):
            os.kill(os.getpid(), signal.SIGINT)

    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            classifier.classify_batch(TEXTS * 100_000)
    finally:
        is_over.set()
        thread.join()
        signal.signal(signal.SIGINT, handler)
    assert labels_of(classifier) == due
    assert [answer.label for answer in classifier.classify_batch(TEXTS)] == due


class TestFiles:
    def test_replaced_shortened_and_removed_while_open(self, classifier, echo_path, tmp_path):
        due = labels_of(classifier)
        assert echo_path.stat().st_size <= LARGEST_IN_MEMORY
        other = tmp_path / "other"
        other.write_bytes(b"something else")
        other.replace(echo_path)
        assert labels_of(classifier) == due
        os.truncate(echo_path, 0)
        assert labels_of(classifier) == due
        echo_path.unlink()
        assert labels_of(classifier) == due
        assert [answer.label for answer in classifier.classify_batch(TEXTS)] == due

    def test_shortened_in_place_while_open(self, classifier, echo_path):
        due = labels_of(classifier)
        os.truncate(echo_path, 100)
        assert [answer.label for answer in classifier.classify_batch(TEXTS)] == due
        with pytest.raises(ArtifactError):
            TextClassifier(echo_path)

    def test_large_models_survive_a_file_renamed_over_theirs(self, echo_path, tmp_path, monkeypatch):
        monkeypatch.setattr("edgedistil_runtime.backends.interpreters.LARGEST_IN_MEMORY", 0)
        with TextClassifier(echo_path, weight_cache=False) as classifier:
            due = labels_of(classifier)
            other = tmp_path / "other"
            other.write_bytes(bytes(100_000))
            other.replace(echo_path)
            assert labels_of(classifier) == due

    @pytest.mark.skipif(os.name != "posix", reason="permissions")
    def test_nothing_can_be_written(self, echo_path, tmp_path, monkeypatch):
        folder = tmp_path / "read_only"
        folder.mkdir()
        shutil.copy(echo_path, folder / "model.tflite")
        (folder / "model.tflite").chmod(0o444)
        folder.chmod(0o555)
        monkeypatch.chdir(folder)
        before = sorted(os.listdir(folder))
        try:
            with TextClassifier("model.tflite") as classifier:
                assert len(labels_of(classifier)) == len(TEXTS)
            assert sorted(os.listdir(folder)) == before
        finally:
            folder.chmod(0o755)
