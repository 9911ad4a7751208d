"""Fine-tuning a pretrained encoder: texts a second and peak memory, beside PyTorch with transformers' own Trainer.

    make setup-minilm setup-torch
    python benchmarks/training_speed.py ../shared/data/banking77                 # 50 steps a run
    python benchmarks/training_speed.py ../shared/data/banking77 --whole-epoch

Three ways take turns, each run in a new process on two cores with two threads: `edgedistil.training`; Trainer with
batches of random texts; Trainer with batches of similar length (`train_sampling_strategy="group_by_length"`). All pad a
batch to its longest text only. Batch size, learning rate, decay, clipping and the number of tokens that texts are cut
to are those of `FINE_TUNING`.

The short form trains on a sample of as many texts as the steps need, drawn anew for each round, so that all ways see
the same texts. It counts from the end of the warm-up steps; seconds per epoch are extrapolated to the whole training
split. --whole-epoch trains on the whole split and counts from the beginning of the epoch, with tracing and compilation.
Tokenization, loading, the first fit of EdgeDistil's head and the validation pass are not counted; because of that fit
the mean losses differ. A sample has fewer word pieces than the split, and EdgeDistil trains only those that occur, so
that the short form flatters it a little. The peak memory is that of the process, with imports.

Figures are medians of the rounds, and the ratio is taken round by round. Run it while nothing else runs. OpenMP's
threads, which PyTorch uses, wait for each other by spinning, and on a machine that other programs use too that takes
several times the work itself; so they sleep here (OMP_WAIT_POLICY=PASSIVE) unless --spin is given. Processor time is in
milliseconds a text, of all threads. A table comes first, one line of JSON last.
"""

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from edgedistil.data import LabelledTexts, TrainingData, class_names, read_labelled_texts
from edgedistil.training import FINE_TUNING

HERE = Path(__file__).parent
OURS, RANDOM, GROUPED = "EdgeDistil", "PyTorch, random batches", "PyTorch, batches of similar length"
SAMPLING = {RANDOM: "random", GROUPED: "group_by_length"}
Job = Mapping[str, Any]


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with train.csv; or the file of a job, in a process of a run")
    parser.add_argument("--preset", default="all_minilm_l6_v2_en", help="in Hugging Face's format")
    parser.add_argument("--steps", type=int, default=50, help="counted steps of a run")
    parser.add_argument("--warm-up", type=int, default=5, help="steps before them")
    parser.add_argument("--whole-epoch", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--spin", action="store_true", help="leave OpenMP's way of waiting as it is")
    parser.add_argument("--python", type=Path, default=HERE.parent / ".venv-torch" / "bin" / "python")
    arguments = parser.parse_args()
    if arguments.data.is_file():
        print(json.dumps(train_with_edgedistil(json.loads(arguments.data.read_text(encoding="utf-8")))))
        return
    if not arguments.python.exists():
        raise SystemExit(
            f"PyTorch is not installed: there is no {arguments.python}. Run `make setup-torch`, or pass --python"
        )
    if hasattr(os, "sched_setaffinity"):  # the processes of the runs inherit it
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments.threads])
    texts = read_labelled_texts(arguments.data / "train.csv")
    rounds = []
    for number in range(arguments.rounds):
        job = make_job(texts, number, arguments)
        rounds.append({way: measure(way, job, arguments) for way in (OURS, RANDOM, GROUPED)})
        print(json.dumps(rounds[-1]), file=sys.stderr)
    print_table(rounds, len(texts), arguments)


def train_with_edgedistil(job: Job) -> dict[str, Any]:
    """Trains one epoch; returns seconds at its beginning and the end of each step, as the other process does."""
    import keras

    from edgedistil.training import TrainingSettings
    from edgedistil.training.loop import train
    from edgedistil.training.start import from_preset

    times, losses = [], []
    clock = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: times.append((time.perf_counter(), time.process_time())),
        on_train_batch_end=lambda step, logs: (
            times.append((time.perf_counter(), time.process_time())),
            losses.append(float(logs["loss"])),
        ),
    )
    names = ("batch_size", "sequence_length", "learning_rate", "weight_decay", "clip_norm", "seed")
    settings = TrainingSettings(epochs=1, **{name: job[name] for name in names})
    labels = tuple(f"{number:03}" for number in job["classes"])
    validation = LabelledTexts(tuple(job["texts"][:32]), labels[:32])  # not counted
    data = TrainingData(LabelledTexts(tuple(job["texts"]), labels), validation)
    train(from_preset(job["preset"], data, settings), data, settings, callbacks=[clock])
    return {"times": times, "loss": losses[-1]}  # Keras' loss is the mean since the epoch began


def make_job(texts: LabelledTexts, number: int, arguments: argparse.Namespace) -> Job:
    """The texts and settings of a round."""
    labels = class_names(texts.labels)
    chosen = list(range(len(texts)))
    if not arguments.whole_epoch:
        wanted = FINE_TUNING.batch_size * (arguments.warm_up + arguments.steps)
        chosen = random.Random(number).sample(chosen, min(wanted, len(chosen)))
        if len({texts.labels[i] for i in chosen}) < len(labels):
            raise SystemExit(f"{len(chosen)} texts do not have all {len(labels)} classes; pass more --steps")
    tuned = FINE_TUNING.with_rate(384).to_dict()  # the width of MiniLM
    settings = {**tuned, "seed": number, "threads": arguments.threads, "preset": arguments.preset}
    return {
        **settings,
        "texts": [texts.texts[i] for i in chosen],
        "classes": [labels.index(texts.labels[i]) for i in chosen],
    }


def measure(way: str, job: Job, arguments: argparse.Namespace) -> dict[str, float]:
    """Runs a way in a new process; returns its speed, peak memory, mean loss and time."""
    from edgedistil.presets.download import locate

    is_ours = way == OURS
    command = [sys.executable, __file__] if is_ours else [str(arguments.python), str(HERE / "pytorch_training.py")]
    job = {**job, "checkpoint": str(locate(job["preset"])), "sampling": SAMPLING.get(way)}
    names = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, str(arguments.threads)), "HF_HUB_OFFLINE": "1"}
    environment |= {} if arguments.spin else {"OMP_WAIT_POLICY": "PASSIVE"}
    with tempfile.TemporaryDirectory() as name:
        path, output = Path(name, "job.json"), Path(name, "output.txt")
        path.write_text(json.dumps(job), encoding="utf-8")
        started = time.perf_counter()
        with output.open("w") as file:
            process = subprocess.Popen([*command, str(path)], stdout=file, env=environment)
            _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"{way} failed")
        found = json.loads(output.read_text().splitlines()[-1])
    skipped = 0 if arguments.whole_epoch else arguments.warm_up  # steps; times[0] is the beginning
    counted = len(job["texts"]) - skipped * job["batch_size"]
    (began, began_processor), (ended, ended_processor) = found["times"][skipped], found["times"][-1]
    return {
        "texts_per_second": counted / (ended - began),
        "processor_ms": 1e3 * (ended_processor - began_processor) / counted,
        "megabytes": usage.ru_maxrss / 1e3,
        "loss": found["loss"],
        "process_seconds": time.perf_counter() - started,
    }


def print_table(rounds: Sequence[Mapping[str, Any]], texts: int, arguments: argparse.Namespace) -> None:
    """Prints Markdown, then JSON."""
    print(
        "| | texts / s | s / epoch | EdgeDistil's time / this | processor, ms / text | peak memory, MB | mean loss |\n"
        "|---|---|---|---|---|---|---|"
    )
    for way in rounds[0]:
        values = {key: statistics.median(one[way][key] for one in rounds) for key in rounds[0][way]}
        ratio = statistics.median(one[way]["texts_per_second"] / one[OURS]["texts_per_second"] for one in rounds)
        speed = values["texts_per_second"]
        print(
            f"| {way} | {speed:.1f} | {texts / speed:.0f} | {ratio:.2f} | {values['processor_ms']:.1f} "
            f"| {values['megabytes']:.0f} | {values['loss']:.2f} |"
        )
    settings = {"whole_epoch": arguments.whole_epoch, "steps": arguments.steps, "threads": arguments.threads}
    load = os.getloadavg() if hasattr(os, "getloadavg") else None
    print(json.dumps({"rounds": rounds, **settings, "load": load, "machine": platform.machine()}))


if __name__ == "__main__":
    main()
