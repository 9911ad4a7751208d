"""The command line: instant help, one border for errors, and training from file to preset."""

import errno
import json
import re
import resource
import signal
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from edgedistil.cli import VERBS, main
from edgedistil.cli.border import guarded
from edgedistil.presets import list_presets
from edgedistil.training.record import file_record
from edgedistil_runtime.errors import DataError

SMALL = (
    *("--num-layers", "1", "--hidden-dim", "16", "--num-heads", "2", "--intermediate-dim", "16"),
    *("--vocabulary-size", "150", "--epochs", "2", "--batch-size", "4", "--sequence-length", "12"),
    *("--validation-fraction", "0.2"),
)


def invoke(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def train_from_scratch(csv_file, output, *more):
    return invoke("train", "--from-scratch", "tiny", *SMALL, "--train-data", csv_file, "-o", output, *more)


# Help


@pytest.mark.parametrize("arguments", [["--help"], *([verb, "--help"] for verb in VERBS), ["--version"]])
def test_help_imports_nothing_that_is_slow(arguments):
    imported = modules_after(arguments)
    assert not imported & {"tensorflow", "keras", "numpy", "pyarrow", "matplotlib", "rich"}
    assert "click" in imported


def modules_after(arguments):
    """Top-level names of the modules that a command imports."""
    program = (
        "import sys\n"
        "from edgedistil.cli import main\n"
        f"try: main({arguments!r})\n"
        "except SystemExit as end: assert not end.code\n"
        "sys.stderr.write(' '.join({name.partition('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["presets", "--json"], ["--version"]])
def test_help_is_instant_and_brings_no_tensorflow(arguments):
    program = (
        "import sys\n"
        "from edgedistil.cli import main\n"
        f"try: main({arguments!r})\n"
        "except SystemExit: pass\n"
        "heavy = {'tensorflow', 'keras', 'keras_hub', 'matplotlib', 'pyarrow', 'h5py'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)\n"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    # Processor time, which a busy machine does not stretch as it does the time on the clock.
    assert (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime) < 1


def test_every_verb_has_its_line_in_the_help():
    done = invoke("--help")
    assert done.exit_code == 0
    for verb, (_, summary) in VERBS.items():
        assert "\\b" not in done.stdout
        assert re.search(rf"^  {verb} +{re.escape(summary)}$", done.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--fixed-lengths", "16,abc"], 2, "commas between them, such as 16,32,64. Received: '16,abc'"),
        (["--fixed-lengths", "16,"], 2, "Received: '16,'"),
        (["--fixed-lengths", "32,16"], 1, "Fixed lengths (--fixed-lengths) must be whole numbers from 3 up"),
        (["--target", "npu"], 1, "Received: --target npu with --quantize int8. Use one of fp32, fp16."),
        (["--target", "npu", "--quantize", "fp16"], 1, "with --tokenizer builtin. Pass --tokenizer='none' alone"),
    ],
)
def test_shapes_that_a_file_cannot_have(options, code, message, tmp_path):
    done = invoke("convert", "--preset", "smart_home_tiny_en", *options, "-o", tmp_path / "no.tflite")
    assert done.exit_code == code
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [["trian"], ["train"], ["train", "--no-such-option"]])
def test_wrong_use_exits_with_2(arguments):
    done = invoke(*arguments)
    assert done.exit_code == 2
    assert "Usage:" in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--num-layers", "2"], "--num-layers need --from-scratch"),
        (["--preset", "x", "--from-scratch", "tiny"], "several of them"),
        (["--preset", "x", "--num-layers", "2"], "--num-layers need --from-scratch"),
        (["--preset", "x", "--no-lowercase"], "--lowercase need --from-scratch"),
        (["--from-scratch", "tiny", "--vocabulary", "v", "--vocabulary-size", "9"], "not both"),
    ],
)
def test_options_that_exclude_each_other(options, message, csv_file, tmp_path):
    done = invoke("train", *options, "--train-data", csv_file, "-o", tmp_path / "out")
    assert done.exit_code == 2
    assert message in done.stderr


# The border


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (DataError("row 3 is bad"), 1, "Error: row 3 is bad"),
        (OSError(errno.ENOSPC, "No space left on device", "big.bin"), 1, "disk is full while writing big.bin"),
        (PermissionError(errno.EACCES, "Permission denied", "x.csv"), 1, "Error: Permission denied: x.csv"),
        (KeyboardInterrupt(), 130, "Interrupted"),
        (click.Abort(), 130, "Interrupted"),
    ],
)
def test_errors_become_one_line_and_a_code(error, code, message, capsys):
    def fail():
        raise error

    for is_debug in (False, True):
        with pytest.raises(SystemExit) as caught:
            guarded(fail, is_debug=lambda is_debug=is_debug: is_debug)
        assert caught.value.code == code
        printed = capsys.readouterr()
        assert printed.out == ""
        assert message in printed.err
        assert ("Traceback" in printed.err) == is_debug
        assert is_debug or printed.err.count("\n") == 1


def test_what_nobody_foresaw_is_not_hidden():
    def fail():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        guarded(fail, is_debug=lambda: False)


def test_sigterm_removes_what_is_half_written(tmp_path):
    program = (
        "import os, signal, sys, time\n"
        "from pathlib import Path\n"
        "import click\n"
        "from edgedistil.cli import VERBS, main\n"
        "from edgedistil_converters.files import atomic_path\n"
        "@click.command()\n"
        "@click.argument('output', type=click.Path(path_type=Path))\n"
        "def write(output):\n"
        "    with atomic_path(output) as temporary:\n"
        "        temporary.write_text('half')\n"
        "        try:\n"
        "            os.kill(os.getpid(), signal.SIGTERM)\n"
        "            time.sleep(60)\n"
        "        finally:\n"
        "            os.kill(os.getpid(), signal.SIGTERM)  # the second changes nothing\n"
        "VERBS['write'] = ('__main__:write', '')\n"
        "main()\n"
    )
    command = [sys.executable, "-c", program, "write", str(tmp_path / "model.tflite")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (143, "", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("handler", [signal.SIG_IGN, signal.SIG_DFL, signal.default_int_handler])
def test_the_handler_of_sigterm_is_as_before(handler):
    before = signal.signal(signal.SIGTERM, handler)
    try:
        seen = guarded(lambda: signal.getsignal(signal.SIGTERM), is_debug=lambda: False)
        assert (seen is handler) == (handler is not signal.SIG_DFL)  # a caller's own arrangement stands
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_debug_shows_the_traceback(csv_file, tmp_path):
    arguments = ["train", "--from-scratch", "tiny", "--train-data", tmp_path / "no.csv", "-o", tmp_path / "out"]
    assert "Traceback" not in invoke(*arguments).stderr
    assert "Traceback" in invoke("--debug", *arguments).stderr


# presets


def test_presets_table_and_json():
    table = invoke("presets")
    assert table.exit_code == 0
    for name, millions in (
        ("distil_bert_base_en_uncased", "66.36M"),
        ("distil_bert_base_en", "65.19M"),
        ("distil_bert_base_multi", "134.73M"),
    ):
        assert re.search(rf"^{name} +{re.escape(millions)}", table.stdout, re.MULTILINE)
    listed = json.loads(invoke("presets", "--json").stdout.splitlines()[-1])["presets"]
    assert listed == [info.to_dict() for info in list_presets()]


# train


def test_train_from_scratch_then_fine_tune_what_it_wrote(csv_file, tmp_path):
    csv_file.write_text(csv_file.read_text(encoding="utf-8") + ",\n ,lights\n", encoding="utf-8")
    done = train_from_scratch(csv_file, tmp_path / "first", "--test-data", csv_file, "--json")
    assert done.exit_code == 0, done.stderr
    printed = json.loads(done.stdout.splitlines()[-1])
    skipped = {"rows": 2, "blank_rows": 1, "blank_texts": 1, "missing_labels": 0}
    assert printed["skipped"] == {"training": skipped, "test": skipped}
    assert printed["labels"] == ["lights", "music", "weather"]
    assert set(printed["metrics"]) == {"validation", "test"}
    record = json.loads((tmp_path / "first" / "training.json").read_text())
    assert record["origin"]["num_layers"] == 1
    assert record["settings"]["epochs"] == 2

    second = invoke(
        *("train", "--preset", tmp_path / "first", "--train-data", csv_file, "--validation-data", csv_file),
        *("--sequence-length", "8", "--epochs", "1", "-o", tmp_path / "second", "--freeze-backbone"),
    )
    assert second.exit_code == 0, second.stderr
    assert "edgedistil convert --preset" in second.stdout
    record = json.loads((tmp_path / "second" / "training.json").read_text())
    assert record["origin"] == {"preset": "first"}
    assert record["settings"]["is_backbone_frozen"] is True
    assert record["settings"]["sequence_length"] == 8
    assert record["data"]["validation"]["file"] == "texts.csv"


def test_train_from_folders_of_texts(texts, tmp_path):
    for number, (text, label) in enumerate(zip(texts.texts, texts.labels, strict=True)):
        path = tmp_path / "texts" / label / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    done = train_from_scratch(tmp_path / "texts", tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    recorded = json.loads((tmp_path / "out" / "training.json").read_text())["data"]["training"]
    assert recorded["file"] == "texts"
    assert recorded["sha256"] == file_record(tmp_path / "texts")["sha256"]
    path.write_text("something else", encoding="utf-8")
    assert recorded["sha256"] != file_record(tmp_path / "texts")["sha256"]


def test_vocabulary_file_and_case(csv_file, tmp_path, tiny_vocabulary):
    vocabulary = tmp_path / "vocab.txt"
    vocabulary.write_text("".join(f"{piece}\n" for piece in tiny_vocabulary), encoding="utf-8")
    small = [option for option in SMALL if option not in ("--vocabulary-size", "150")]
    done = invoke(
        *("train", "--from-scratch", "tiny", *small, "--vocabulary", vocabulary, "--no-lowercase"),
        *("--train-data", csv_file, "-o", tmp_path / "out", "--epochs", "1"),
    )
    assert done.exit_code == 0, done.stderr
    written = (tmp_path / "out" / "assets" / "tokenizer" / "vocabulary.txt").read_text(encoding="utf-8")
    assert written.split() == tiny_vocabulary
    assert '"lowercase": false' in (tmp_path / "out" / "tokenizer.json").read_text()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("sentence,label\nx,a\n", "no column 'text'. The columns that exist: 'sentence', 'label'"),
        ("", "empty"),
        ("text,label\nx,a\ny,a\n", "single class"),
        ("text,label\nx,a\ny,a\nz,b\n", "at least two examples"),
        ("text,label\nx,a\n,b\n", "single class"),
        ("text,label\nx,a\ny,b,c\n", "row 3"),
    ],
)
def test_bad_data_is_told_before_tensorflow_is_started(content, message, tmp_path):
    path = tmp_path / "bad.csv"
    path.write_text(content)
    done = train_from_scratch(path, tmp_path / "out")
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: ")
    assert message in done.stderr
    assert not (tmp_path / "out").exists()


def test_output_that_exists_or_has_no_folder(csv_file, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("")
    assert "exists already" in train_from_scratch(csv_file, tmp_path / "out").stderr
    assert "--force replaces only" in train_from_scratch(csv_file, tmp_path / "out", "--force").stderr
    assert "does not exist" in train_from_scratch(csv_file, tmp_path / "absent" / "out").stderr


def test_data_in_the_preset_that_is_replaced(csv_file, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    for name in ("config.json", "training.json"):
        (out / name).write_text("{}")
    data = csv_file.rename(out / "texts.csv")
    done = train_from_scratch(data, out, "--force")
    assert done.exit_code == 1
    assert f"would replace what it is made of: {data}" in done.stderr
    assert data.exists()


def test_setting_out_of_bounds(csv_file, tmp_path):
    done = train_from_scratch(csv_file, tmp_path / "out", "--dropout", "1.5")
    assert done.exit_code == 1
    assert "--dropout must be from 0 up and below 1. Received: 1.5" in done.stderr


def test_sequence_longer_than_the_preset_knows(csv_file, tmp_path, tiny_preset):
    done = invoke("train", "--preset", tiny_preset, "--train-data", csv_file, "-o", tmp_path / "out")
    assert done.exit_code == 1
    assert "from 3 ([CLS], one token, [SEP]) to 16" in done.stderr


def test_interrupted_training_goes_on_with_resume(csv_file, tmp_path, monkeypatch):
    none = train_from_scratch(csv_file, tmp_path / "out", "--resume")
    assert "There is no interrupted training" in none.stderr

    def interrupt(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("edgedistil.training.callbacks.BestEpoch.on_epoch_begin", interrupt, raising=False)
        stopped = train_from_scratch(csv_file, tmp_path / "out")
    assert "--resume goes on" in stopped.stderr
    assert (tmp_path / ".out.training.npz").exists()
    log = tmp_path / "log.csv"
    done = train_from_scratch(csv_file, tmp_path / "out", "--resume", "--csv-log", log, "--json")
    assert done.exit_code == 0, done.stderr
    assert [line.split(",")[0] for line in log.read_text().splitlines()] == ["epoch", "1"]
    assert not (tmp_path / ".out.training.npz").exists()
    assert json.loads((tmp_path / "out" / "training.json").read_text())["history"][0]["epoch"] == 1


def test_interrupted_training_leaves_nothing(csv_file, tmp_path, monkeypatch):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("edgedistil.training.callbacks.BestEpoch.on_epoch_end", interrupt)
    done = train_from_scratch(csv_file, tmp_path / "out")
    assert done.exit_code == 130
    assert done.stderr.strip() == "Interrupted: nothing half-written is left."
    assert [path.name for path in tmp_path.iterdir()] == ["texts.csv"]
