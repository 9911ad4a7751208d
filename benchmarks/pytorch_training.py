"""The PyTorch side of `training_speed.py`; runs in the environment of `make setup-torch`, which has no EdgeDistil.

    .venv-torch/bin/python benchmarks/pytorch_training.py JOB.json

JOB.json names the checkpoint, the texts with their class numbers, the settings and the sampling. transformers' Trainer
trains one epoch, with its own defaults for everything else. Texts are tokenized before the clock starts, and a batch is
padded to its longest text. Prints one line of JSON: elapsed and processor seconds, both at the beginning of training
and at the end of each step, and the mean loss.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import transformers


class Clock(transformers.TrainerCallback):
    """Notes when training begins and when each step ends."""

    def __init__(self) -> None:
        self.times: list[tuple[float, float]] = []

    def on_train_begin(self, *arguments: Any, **options: Any) -> None:
        """Starts the clock."""
        self.times.append((time.perf_counter(), time.process_time()))

    def on_step_end(self, *arguments: Any, **options: Any) -> None:
        """Notes the end of a step."""
        self.times.append((time.perf_counter(), time.process_time()))


def main() -> None:
    """Trains and prints."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    torch.set_num_threads(job["threads"])
    transformers.logging.set_verbosity_error()
    tokenizer = transformers.AutoTokenizer.from_pretrained(job["checkpoint"])
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        job["checkpoint"], num_labels=max(job["classes"]) + 1, dtype=torch.float32
    )
    encoded = tokenizer(job["texts"], truncation=True, max_length=job["sequence_length"])
    rows = [
        {"input_ids": ids, "attention_mask": mask, "labels": number}
        for ids, mask, number in zip(encoded["input_ids"], encoded["attention_mask"], job["classes"], strict=True)
    ]
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        trainer = transformers.Trainer(
            model=model,
            args=transformers.TrainingArguments(
                output_dir=folder,
                per_device_train_batch_size=job["batch_size"],
                num_train_epochs=1,
                learning_rate=job["learning_rate"],
                weight_decay=job["weight_decay"],
                max_grad_norm=job["clip_norm"],
                train_sampling_strategy=job["sampling"],
                seed=job["seed"],
                use_cpu=True,
                logging_strategy="no",
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
            ),
            train_dataset=rows,
            data_collator=transformers.DataCollatorWithPadding(tokenizer),
            callbacks=[clock],
        )
        loss = trainer.train().training_loss
    print(json.dumps({"times": clock.times, "loss": loss}))


if __name__ == "__main__":
    main()
