"""A GPU in software in a folder: `python3 tools/vulkan_environment.py build/lavapipe`.

Mesa's lavapipe is a Vulkan driver that computes on the CPU. Its packages are unpacked, not installed; `activate` in the
folder sets the variables with which a process finds them:

    . build/lavapipe/activate && python program.py

LiteRT's WebGPU accelerator refuses Mesa 22.3 of Debian 12 ("No adapters found"); Mesa 25.0 of its backports works.
Exit code 69 says that this machine cannot get the packages; the reason is on stderr.
"""

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from debian_packages import PackagesUnavailable, find_archive, unpack
from unpacked_environment import check_machine, digest, package_versions, set_up

PACKAGES = ("mesa-vulkan-drivers", "libvulkan1")
DRIVER = "usr/share/vulkan/icd.d/lvp_icd.json"
OLDEST_MESA = 25
# Every Linux that Python's wheels run on has these, and an older copy must not take the place of a newer one.
OF_THE_SYSTEM = frozenset(("libc6", "libgcc-s1", "libstdc++6", "gcc-12-base"))
ACTIVATE = """\
export VK_DRIVER_FILES={driver}
export LD_LIBRARY_PATH={folder}/system/usr/lib/x86_64-linux-gnu:{folder}/system/lib/x86_64-linux-gnu
export MESA_SHADER_CACHE_DIR={folder}/shaders
"""


def main(arguments: Sequence[str]) -> int:
    """Makes the environment; returns an exit code."""
    parser = argparse.ArgumentParser(description="Makes a folder with Mesa's Vulkan driver in software.")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args(arguments).folder
    # The folder is part of the recipe because its path is in `activate`.
    return set_up(folder, digest(str(folder.resolve()), Path(__file__)), _make)


def _make(folder: Path) -> dict[str, str]:
    check_machine("The driver is taken")
    packages = find_archive().download(PACKAGES, architecture="amd64", folder=folder / "apt", has_backports=True)
    versions = package_versions(packages)
    mesa = versions["mesa-vulkan-drivers"]
    if int(mesa.split(".")[0]) < OLDEST_MESA:
        raise PackagesUnavailable(f"Mesa {OLDEST_MESA} or newer is needed. Received: {mesa}.")
    for package in packages:
        if package.name.split("_")[0] not in OF_THE_SYSTEM:
            unpack(package, folder / "system")
    shutil.rmtree(folder / "apt")
    driver = folder / "system" / DRIVER
    if not driver.is_file():
        raise RuntimeError(f"mesa-vulkan-drivers {mesa} must have {DRIVER}.")
    (folder / "activate").write_text(ACTIVATE.format(folder=folder, driver=driver))
    return versions


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
