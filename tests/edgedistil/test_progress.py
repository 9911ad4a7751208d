"""Progress of the command line: a bar and lines on a terminal, nothing in a pipe."""

import io

import pytest
from rich.console import Console

from edgedistil.cli.progress import stage_line, training_progress
from edgedistil.training.callbacks import ProgressReporter, TrainingProgress


@pytest.fixture
def screen():
    return Console(file=io.StringIO(), force_terminal=True, width=120)


def test_a_bar_of_steps_and_a_line_for_each_epoch(screen):
    with training_progress(screen, epochs=2, steps_per_epoch=3) as show:
        show(TrainingProgress(2, 1, {"loss": 0.25}))
        show(TrainingProgress(2, 3, {"loss": 0.5, "val_accuracy": 0.75}, is_epoch_done=True))
    shown = screen.file.getvalue()
    assert "epoch 2 of 2" in shown and "4/6" in shown and "loss 0.250" in shown
    assert "epoch  2  loss 0.5000  val_accuracy 0.7500" in shown


def test_the_bar_goes_when_training_is_interrupted(screen):
    def interrupted():
        with training_progress(screen, epochs=1, steps_per_epoch=1) as show:
            show(TrainingProgress(1, 1, {}))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert screen.file.getvalue().endswith("\x1b[?25h\r\x1b[1A\x1b[2K")  # the cursor is back, the bar is erased


def test_reports_of_a_training():
    reports = []
    reporter = ProgressReporter(reports.append)
    for epoch in range(2):
        reporter.on_epoch_begin(epoch)
        for batch in range(2):
            reporter.on_train_batch_end(batch, {"loss": 1.0})
        reporter.on_epoch_end(epoch, {"val_loss": 2.0})
    assert [(report.epoch, report.step, report.is_epoch_done) for report in reports] == [
        *((1, 1, False), (1, 2, False), (1, 2, True)),
        *((2, 1, False), (2, 2, False), (2, 2, True)),
    ]
    assert reports[2].metrics == {"val_loss": 2.0}


def test_a_stage_is_shown_on_a_terminal_only(screen, monkeypatch):
    for console, is_shown in ((screen, True), (Console(file=io.StringIO(), width=120), False)):
        monkeypatch.setattr("edgedistil.cli.progress.console", lambda console=console: console)
        with stage_line() as show:
            show("loading intents")
        assert ("loading intents" in console.file.getvalue()) == is_shown
