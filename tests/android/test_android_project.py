"""The demo app's Gradle files, manifest and resources agree with one another. No Android SDK, no Java needed."""

import json
import re
import tomllib
from pathlib import Path
from xml.etree import ElementTree

import pytest

HERE = Path(__file__).parent
DEMO = HERE.parents[1] / "android_demo"
APP, CORE = DEMO / "app", DEMO / "core"
MAIN = APP / "src" / "main"
ANDROID = "{http://schemas.android.com/apk/res/android}"
BUILD_FILES = sorted(DEMO.glob("**/*.gradle.kts"))
KOTLIN_FILES = sorted(DEMO.glob("*/src/*/kotlin/**/*.kt"))


def text(path):
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def catalogue():
    return tomllib.loads(text(DEMO / "gradle" / "libs.versions.toml"))


@pytest.fixture(scope="module")
def namespace():
    return re.search(r'namespace = "(.+)"', text(APP / "build.gradle.kts")).group(1)


@pytest.fixture(scope="module")
def manifest():
    return ElementTree.parse(MAIN / "AndroidManifest.xml").getroot()


def test_every_entry_of_the_catalogue_is_used_and_exists(catalogue):
    build = "\n".join(map(text, BUILD_FILES))
    used = {name.removesuffix(".get") for name in re.findall(r"\blibs\.([a-z0-9]+(?:\.[a-z0-9]+)*)", build)}
    entries = {name.replace("-", ".") for name in catalogue["libraries"]}
    entries |= {"plugins." + name.replace("-", ".") for name in catalogue["plugins"]}
    direct = {name for name in used if name.startswith("versions.")}
    assert used - direct == entries
    declared = [*catalogue["libraries"].values(), *catalogue["plugins"].values()]
    versions = {entry["version"]["ref"] for entry in declared if "version" in entry}
    versions |= {name.removeprefix("versions.").replace(".", "-") for name in direct}
    assert versions == set(catalogue["versions"])
    assert not re.search(r'"[\w.]+:[\w.-]+:\d', build), "a version stands in a build file"


def test_what_has_no_version_is_in_the_compose_bom(catalogue):
    loose = [entry["module"] for entry in catalogue["libraries"].values() if "version" not in entry]
    assert loose and all(module.startswith("androidx.compose.") for module in loose)
    assert "platform(libs.androidx.compose.bom)" in text(APP / "build.gradle.kts")


def test_versions_are_stable_ones(catalogue):
    for name, version in catalogue["versions"].items():
        assert re.fullmatch(r"[0-9]+(\.[0-9]+)*", version), f"{name} is {version}"
    assert catalogue["versions"]["min-sdk"] == "24"


def test_the_kotlin_compiler_of_the_tests_is_the_apps(catalogue):
    wanted = json.loads(text(HERE / "package.json"))["devDependencies"]
    locked = json.loads(text(HERE / "package-lock.json"))["packages"]
    assert wanted == {"kotlin-compiler": catalogue["versions"]["kotlin"]}
    entry = locked["node_modules/kotlin-compiler"]
    assert entry["version"] == catalogue["versions"]["kotlin"]
    assert entry["integrity"].startswith("sha512-") and "resolved" not in entry


def test_the_wrapper_fetches_gradle_from_its_maker():
    properties = dict(line.split("=", 1) for line in text(DEMO / "gradle/wrapper/gradle-wrapper.properties").split())
    url = properties["distributionUrl"].replace("\\:", ":")
    assert re.fullmatch(r"https://services\.gradle\.org/distributions/gradle-9\.\d+(\.\d+)?-bin\.zip", url)
    assert not list(DEMO.glob("**/*.jar"))


def test_modules_are_folders_with_build_files():
    modules = re.search(r"include\((.+)\)", text(DEMO / "settings.gradle.kts")).group(1)
    folders = {module.strip(' ":') for module in modules.split(",")}
    assert folders == {path.parent.name for path in BUILD_FILES if path.parent != DEMO}


def test_packages_are_folders(namespace):
    assert len(KOTLIN_FILES) > 15
    for path in KOTLIN_FILES:
        package = re.search(r"^package (\S+)$", text(path), re.MULTILINE).group(1)
        folders = path.parent.parts[path.parent.parts.index("kotlin") + 1 :]
        assert package == ".".join(folders), path
        expected = namespace if APP in path.parents else "dev.edgedistil.core"
        assert package == expected or package.startswith(f"{expected}."), path


def test_the_core_is_pure_kotlin():
    build = text(CORE / "build.gradle.kts")
    assert "dependencies" not in build and "android" not in build.replace("Android 7", "").lower().replace(
        "android's", ""
    )
    for path in KOTLIN_FILES:
        if CORE in path.parents:
            imports = re.findall(r"^import (\S+)", text(path), re.MULTILINE)
            assert all(name.startswith(("java.", "kotlin.", "dev.edgedistil.core.")) for name in imports), path


def test_the_manifest_names_what_exists(manifest, namespace):
    assert "package" not in manifest.attrib
    build = text(APP / "build.gradle.kts")
    assert f'applicationId = "{namespace}"' in build
    activities = [element.get(f"{ANDROID}name") for element in manifest.iter("activity")]
    assert activities == [".MainActivity"]
    source = text(MAIN / "kotlin" / namespace.replace(".", "/") / "MainActivity.kt")
    assert "class MainActivity : ComponentActivity()" in source
    [launcher] = manifest.iter("activity")
    assert launcher.get(f"{ANDROID}exported") == "true"
    categories = [element.get(f"{ANDROID}name") for element in launcher.iter("category")]
    assert categories == ["android.intent.category.LAUNCHER"]


def test_the_app_has_no_permission(manifest):
    remove = "{http://schemas.android.com/tools}node"
    assert all(element.get(remove) == "remove" for element in manifest.iter("uses-permission"))
    assert "android.permission.INTERNET" not in text(MAIN / "AndroidManifest.xml")


def defined():
    names = {"string": [], "style": [], "drawable": [path.stem for path in (MAIN / "res/drawable").iterdir()]}
    for path in (MAIN / "res").glob("values/*.xml"):
        for element in ElementTree.parse(path).getroot():
            names[element.tag].append(element.get("name"))
    return names


def test_every_resource_exists_once_and_is_used(manifest):
    names = defined()
    sources = "\n".join(text(path) for path in KOTLIN_FILES)
    used = {kind: set(re.findall(rf"\bR\.{kind}\.(\w+)", sources)) for kind in names}
    for element in manifest.iter():
        for value in element.attrib.values():
            if value.startswith("@"):
                kind, name = value[1:].split("/")
                used[kind].add(name)
    for kind, found in names.items():
        assert sorted(found) == sorted(used[kind]), kind
    for path in (MAIN / "res").glob("values-*/*.xml"):
        for element in ElementTree.parse(path).getroot():
            assert element.get("name") in names[element.tag], path


def test_strings_get_the_arguments_that_they_take():
    formats = {e.get("name"): e.text for e in ElementTree.parse(MAIN / "res/values/strings.xml").getroot()}
    sources = "\n".join(text(path) for path in KOTLIN_FILES)
    calls = re.findall(r"stringResource\(\s*R\.string\.(\w+)((?:,[^()]+)*),?\s*\)", sources)
    assert {name for name, _ in calls} == set(formats)
    for name, arguments in calls:
        given = [part for part in arguments.split(",") if part.strip()]
        places = {int(place) for place in re.findall(r"%(\d+)\$", formats[name])}
        assert places == set(range(1, len(given) + 1)), name


def test_no_words_stand_in_the_composables():
    for path in (MAIN / "kotlin").glob("**/ui/*.kt"):
        literals = re.findall(r'"([^"\n]*)"', re.sub(r"/\*\*.*?\*/", "", text(path), flags=re.DOTALL))
        assert not [literal for literal in literals if re.search(r"[A-Za-z]", literal)], path


def test_everything_that_can_be_acted_on_is_described():
    """A switch whose whole line is one control, scores that are read as one, a result that is announced."""
    screen = text(MAIN / "kotlin/dev/edgedistil/demo/ui/ClassifierScreen.kt")
    assert "role = Role.Switch" in screen and "onCheckedChange = null" in screen
    assert "liveRegion = LiveRegionMode.Polite" in screen and "contentDescription = description" in screen
    assert "enableEdgeToEdge()" in text(MAIN / "kotlin/dev/edgedistil/demo/MainActivity.kt")


def test_the_model_has_one_path():
    name = re.search(r'const val MODEL_ASSET = "(.+)"', text(MAIN / "kotlin/dev/edgedistil/demo/ModelStore.kt")).group(
        1
    )
    build = text(APP / "build.gradle.kts")
    assert f'layout.projectDirectory.file("src/main/assets/{name}")' in build
    path = f"android_demo/app/src/main/assets/{name}"
    assert path in build and path in text(DEMO / "README.md")
    assert "/app/src/main/assets/*.tflite" in text(DEMO / ".gitignore").split("\n")
    assert 'noCompress += "tflite"' in build


def test_the_readme_names_the_versions_and_what_was_not_tried(catalogue):
    readme = text(DEMO / "README.md")
    for name in ("agp", "kotlin", "litert", "compose-bom", "activity", "lifecycle", "coroutines"):
        assert catalogue["versions"][name] in readme, name
    assert "No APK was built" in readme
