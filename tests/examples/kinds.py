"""How a document is followed: each kind of command or block, and how it is run or checked.

| kind | programs | how |
|---|---|---|
| of this project | `edgedistil` | run in this process; equal conversions only once |
| | `edgedistil-runtime`, `python`, `make demo` | run in a child |
| a server | `edgedistil-runtime serve`, `curl` | started on a free port, asked, ended by SIGTERM |
| folders | `mkdir`, `cd` | made; exists in the repository |
| an accelerator | `--accelerator gpu`, `TextClassifier(path, "gpu")` | run: answers, or an error that names it |
| Ray | `--engine ray`, `import ray.data` | run if it is installed; otherwise an error that names the extra |
| targets | `make` | the target exists |
| installation | `pip`, `pre-commit`, `.` | the folder, its extra or the pinned package exists |
| boards, other compilers | `sudo`, `cp`, `gradle` … | files, versions and options that it names exist |
| in sentences | `edgedistil …`, `make …`, `--option` | run if it is `convert … -o`, otherwise its options exist |
| blocks | python | run, statement by statement |
| | text | each line is in the output of the block before |
| | js, c, swift, ts, dart, kotlin | what it calls is in `web_demo/` and the demos |
| | mermaid, none | holds no command |
"""

import ast
import importlib.util
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from edgedistil.cli import main as edgedistil
from edgedistil.cli.dashed_texts import TextCommand
from edgedistil_converters.targets.torq_tools import TORQ_TOOLS

from ..conftest import HANG
from .documents import ROOT, Block, Command, commands, read
from .other_languages import CHECKS, check_c, check_javascript

GENERATED = "docs/commands.md"
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TORQ_ENVIRONMENT = re.search(r"^TORQ_ENVIRONMENT := (.*)$", MAKEFILE, re.M)[1]
TARGETS = frozenset(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
READY = re.compile(r"answers at (http://\S+)")


@dataclass
class Reader:
    """Follows one document, as someone who types its commands in their order.

    Attributes:
        document: Its name.
        made: What conversions and trainings of all documents wrote, by their arguments: a copy, and what they printed.
        made_in: The folder of these copies.
        scripts: The folder of the repository that the document has changed to.
        output: What the commands of the last block have printed.
        written: The outputs of conversions and trainings in this document, with their arguments.
        server: The server that runs, with its address.
        names: The names that Python blocks have defined.
    """

    document: str
    made: dict[tuple[str, ...], tuple[Path, str]]
    made_in: Path
    scripts: Path = ROOT
    output: str = ""
    written: dict[Path, tuple[str, ...]] = field(default_factory=dict)
    server: tuple[subprocess.Popen[str], str] | None = None
    names: dict[str, object] = field(default_factory=dict)

    def follow(self, command: Command) -> None:
        """Runs or checks one command."""
        assert command.program in KINDS, f"{self.document}: no kind of command is known for: {command.line}"
        KINDS[command.program](self, command)

    def end(self) -> None:
        """Ends the server, if one runs; it must answer all that it was asked."""
        if self.server is not None:
            process, _ = self.server
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=HANG)
            assert process.returncode == 0


def run_edgedistil(reader: Reader, command: Command) -> None:
    words = list(command.words[1:])
    if words[0] not in ("convert", "train"):
        run_in_process(reader, command, words)
        return
    place = words.index("-o") + 1
    output = Path(words[place])
    # Equal arguments give equal files; a name of a file that this folder lacks is another argument.
    key = tuple(f"{word} {Path(word).exists()}" for number, word in enumerate(words) if number != place)
    if output.exists() and reader.written.get(output) == key:
        return
    if key in reader.made and not output.exists():
        kept, printed = reader.made[key]
        copy(kept, output)
        reader.output += printed
    else:
        run_in_process(reader, command, words)
        reader.made[key] = reader.made_in / str(len(reader.made)), reader.output
        copy(output, reader.made[key][0])
    reader.written[output] = key


def run_in_process(reader: Reader, command: Command, words: list[str]) -> None:
    result = CliRunner().invoke(edgedistil, words)
    if not isinstance(result.exception, SystemExit | None):
        raise result.exception
    check_status(command, result.exit_code, result.output)
    reader.output += result.output


def check_status(command: Command, status: int, output: str) -> None:
    if needs_accelerator(command) and status == 1:
        assert command.words[command.words.index("--accelerator") + 1] in output
        assert "Traceback" not in output
        return
    if "ray" in command.words and not has_ray():
        assert (status, "pip install edgedistil[ray]" in output) == (1, True), output
        return
    assert status == 0, f"{command.line}\n{output}"


def has_ray() -> bool:
    return importlib.util.find_spec("ray") is not None


def needs_accelerator(command: Command) -> bool:
    return "--accelerator" in command.words and "--fallback" not in command.words


def copy(source: Path, target: Path) -> None:
    (shutil.copytree if source.is_dir() else shutil.copy)(source, target)


def run_runtime(reader: Reader, command: Command) -> None:
    if command.words[1] == "serve":
        start_server(reader, command)
        return
    run_child(reader, command, ["-m", "edgedistil_runtime", *command.words[1:]])


def run_child(reader: Reader, command: Command, arguments: list[str]) -> None:
    child = subprocess.run(
        [sys.executable, *arguments],
        input="turn on the light\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG,
        env={**os.environ, "GPIOZERO_PIN_FACTORY": "mock"},
    )
    check_status(command, child.returncode, child.stdout + child.stderr)
    reader.output += child.stderr + child.stdout


def start_server(reader: Reader, command: Command) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "edgedistil_runtime", *command.words[1:], "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if ready := READY.search(line):
            reader.server = (process, ready[1])
            return
    pytest.fail(f"{command.line}\n{''.join(lines)}")


def run_curl(reader: Reader, command: Command) -> None:
    """Sends the request to the server that runs; an answer that is shown has the fields of the real one."""
    words, headers, body = list(command.words[1:]), {}, None
    while words[0].startswith("-"):
        option, value = words.pop(0), words.pop(0)
        assert option in ("-H", "-d"), command.line
        if option == "-H":
            name, _, content = value.partition(":")
            headers[name] = content.strip()
        else:
            body = value.encode()
    [address] = words
    assert reader.server is not None, f"{reader.document} asks a server before it starts one"
    url = f"{reader.server[1].rstrip('/')}/{address.partition('/')[2]}"
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=HANG) as response:
        answer = json.load(response)
    for line in command.output:
        shown = json.loads(line)
        assert list(shown) == list(answer)
        assert len(shown["probabilities"]) == len(answer["probabilities"])


def run_python(reader: Reader, command: Command) -> None:
    words = list(command.words[1:])
    if words[:2] == ["-m", "venv"]:
        check_board(reader, command)
        return
    if words[0] not in ("-c", "-m"):
        words[0] = str(reader.scripts / words[0])
    run_child(reader, command, words)


def run_mkdir(reader: Reader, command: Command) -> None:
    assert command.words[1] == "-p", command.line
    for folder in command.words[2:]:
        assert not Path(folder).is_absolute(), command.line
        Path(folder).mkdir(parents=True, exist_ok=True)


def change_folder(reader: Reader, command: Command) -> None:
    reader.scripts = ROOT / command.words[1]
    assert reader.scripts.is_dir(), command.line


def check_make(reader: Reader, command: Command) -> None:
    """The target exists; `make demo` is done as its recipe does it."""
    targets = [word for word in command.words[1:] if "=" not in word]
    assert set(targets) <= TARGETS, command.line
    for variable in set(command.words[1:]).difference(targets):
        assert f"\n{variable.partition('=')[0]} ?=" in MAKEFILE, command.line
    if targets == ["demo"]:
        convert = "edgedistil convert --preset smart_home_tiny_en -o demo.tflite"
        assert convert.removesuffix("demo.tflite") in MAKEFILE
        run_edgedistil(reader, Command(tuple(shlex.split(convert)), command.line))
        reader.output = ""
        run_child(reader, command, [str(ROOT / "demos" / "quickstart.py"), "demo.tflite"])


def check_pip(reader: Reader, command: Command) -> None:
    """Folders are projects and have the extra; other packages are pinned as a project of this repository pins them."""
    assert command.words[1] == "install", command.line
    for word in command.words[2:]:
        if word.startswith("."):
            folder, _, extra = word.partition("[")
            project = tomllib.loads((ROOT / folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
            assert not extra or extra.rstrip("]") in project["optional-dependencies"], command.line
        elif not word.startswith("-"):
            assert word in (ROOT / "runtime" / "pyproject.toml").read_text(encoding="utf-8"), word


def check_pre_commit(reader: Reader, command: Command) -> None:
    assert (ROOT / ".pre-commit-config.yaml").exists()
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    assert any(package.startswith("pre-commit") for package in groups["dev"])


def check_activate(reader: Reader, command: Command) -> None:
    environment = command.words[1].removesuffix("/bin/activate")
    made = f"venv --system-site-packages {environment}" in read(reader.document)
    assert made or f"{environment}/.complete" in MAKEFILE, command.line


def check_board(reader: Reader, command: Command) -> None:
    """Relative files are in the demo's folder, or some command of the document writes them; units exist."""
    for word in command.words[1:]:
        name = word.partition("=")[0]
        if name == "CLASSIFY_OPTIONS":
            script_parser(ROOT / "demos" / "raspberry_pi" / "classify.py").parse_args(
                ["--model", "model.tflite", *shlex.split(word.partition("=")[2])]
            )
        elif re.fullmatch(r"[\w-]+\.(py|service|socket|conf)", word):
            assert (reader.scripts / word).is_file(), f"{command.line}: {word}"
        elif re.fullmatch(r"[\w-][\w/-]*\.tflite", word):
            assert Path(word).exists() or word in read(reader.document).partition(command.line)[0], command.line


def script_parser(path: Path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.make_parser()


def check_edgetpu_compiler(reader: Reader, command: Command) -> None:
    source = ROOT / "converters" / "edgedistil_converters" / "targets" / "edgetpu_compiler.py"
    options = [word for word in command.words if word.startswith("--") and word != "--version"]
    assert all(f'"{option}"' in source.read_text(encoding="utf-8") for option in options), command.line


def check_export(reader: Reader, command: Command) -> None:
    """The variable is the folder of the programs for the Torq NPU; here stand-ins are used, see conftest.py."""
    name, _, value = command.words[1].partition("=")
    assert (name, value) == (TORQ_TOOLS, f"{TORQ_ENVIRONMENT}/bin"), command.line


def check_gradle(reader: Reader, command: Command) -> None:
    """A version is that of the wrapper's settings, a task is of a module that the settings include."""
    wrapper = (reader.scripts / "gradle" / "wrapper" / "gradle-wrapper.properties").read_text(encoding="utf-8")
    settings = (reader.scripts / "settings.gradle.kts").read_text(encoding="utf-8")
    for word, following in zip(command.words[1:], (*command.words[2:], ""), strict=True):
        assert word != "--gradle-version" or f"gradle-{following}-" in wrapper, command.line
        assert not word.startswith(":") or f'":{word.split(":")[1]}"' in settings, command.line


_ON_A_BOARD = ("sudo", "cp", "mv", "echo", "journalctl", "lsusb", "grep")
KINDS: dict[str, Callable[[Reader, Command], None]] = {
    "edgedistil": run_edgedistil,
    "edgedistil-runtime": run_runtime,
    "curl": run_curl,
    "python": run_python,
    "python3": run_python,
    "mkdir": run_mkdir,
    "cd": change_folder,
    "make": check_make,
    "pip": check_pip,
    "pre-commit": check_pre_commit,
    ".": check_activate,
    "edgetpu_compiler": check_edgetpu_compiler,
    "export": check_export,
    "gradle": check_gradle,
    "gradlew": check_gradle,
    **dict.fromkeys(_ON_A_BOARD, check_board),
}


def run_shell(reader: Reader, block: Block) -> None:
    reader.output = ""
    for command in commands(block.body):
        reader.follow(command)


def run_python_block(reader: Reader, block: Block) -> None:
    """Runs statement by statement: one that asks for an accelerator may be refused, as the documents say."""
    from edgedistil_runtime.errors import AcceleratorUnavailable

    for statement in ast.parse(block.body).body:
        source = ast.unparse(statement)
        try:
            exec(compile(ast.Module([statement], []), reader.document, "exec"), reader.names)
        except ModuleNotFoundError:
            if source == "import ray.data" and not has_ray():
                return  # tests/ray runs it
            raise
        except AcceleratorUnavailable:
            assert re.search("'(gpu|edgetpu|coralboard)'", source) and "fallback=True" not in source, source


def check_output(reader: Reader, block: Block) -> None:
    """Each line that is shown was printed, perhaps with more words between its own."""
    printed = [line.split() for line in reader.output.splitlines()]
    for line in block.body.splitlines():
        assert any(is_within(line.split(), words) for words in printed), f"not printed: {line}\n{reader.output}"


def is_within(words: list[str], others: list[str]) -> bool:
    remaining = iter(others)
    return all(word in remaining for word in words)


def check_drawing(reader: Reader, block: Block) -> None:
    """A block of no language is a drawing or a list: a command in it would not be run."""
    hidden = [line for line in block.body.splitlines() if line.split() and line.split()[0] in KINDS]
    assert not hidden, f"{reader.document}: give the block a language. Received: {hidden}"


LANGUAGES: dict[str, Callable[[Reader, Block], None]] = {
    "sh": run_shell,
    "python": run_python_block,
    "text": check_output,
    "js": check_javascript,
    "c": check_c,
    **CHECKS,
    "mermaid": check_drawing,
    "": check_drawing,
}


def follow_inline(reader: Reader, code: str) -> None:
    words = code.split()
    if words[0] == "make" and len(words) > 1:
        check_make(reader, Command(tuple(words), code))
    elif words[:2] == ["python", "-m"]:
        module = ROOT / words[2].replace(".", "/")
        assert module.with_suffix(".py").is_file() or (module / "__main__.py").is_file(), code
    elif words[0] == "edgedistil" and len(words) > 1:
        check_click_options(shlex.split(code)[1:])
        if "-o" in words and words[1] == "convert":
            run_edgedistil(reader, Command(tuple(shlex.split(code)), code))
    for word in words:
        if word.startswith("--") and len(word) > 2:
            assert word.partition("=")[0].rstrip(",.") in known_options(), f"{reader.document}: {code}"


def check_click_options(words: list[str]) -> None:
    """The command and its options exist, and a choice is one of its options' choices."""
    command = edgedistil.get_command(click.Context(edgedistil), words[0])
    assert command is not None, words
    if any(word.startswith("-") for word in words[1:]):
        # Not resilient: a resilient context ignores unknown options.
        group = click.Context(edgedistil, **edgedistil.context_settings)
        context = click.Context(command, info_name=words[0], parent=group)
        arguments = command.texts_last(words[1:]) if isinstance(command, TextCommand) else words[1:]
        values, *_ = command.make_parser(context).parse_args(args=arguments)
        for parameter in command.params:
            if isinstance(parameter.type, click.Choice) and values.get(parameter.name):
                given = values[parameter.name]
                assert {*(given if parameter.multiple else [given])} <= {*parameter.type.choices}, words


@cache
def known_options() -> frozenset[str]:
    """Options of the two command lines, and those that a script or a target of this repository has."""
    sources = [ROOT / GENERATED, ROOT / "Makefile", ROOT / "demos" / "raspberry_pi" / "classify.py"]
    sources += [path for folder in ("benchmarks", "tools", "web_demo") for path in (ROOT / folder).glob("*.*")]
    texts = [path.read_text(encoding="utf-8") for path in sources if path.suffix in ("", ".md", ".py", ".mjs")]
    return frozenset(option for text in texts for option in re.findall(r"--[a-z][a-z0-9-]*[a-z0-9]", text))
