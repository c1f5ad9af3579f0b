"""What must be on this machine: Debian packages, and private Python environments in the cache."""

import hashlib
import os
import shutil
import subprocess
import sys

from steps import ROOT, Failure, cache, lock, run


def missing_packages():
    lines = (ROOT / "packages.txt").read_text("utf-8").splitlines()
    wanted = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if shutil.which("dpkg-query") is None:
        raise Failure("this is not a Debian system: dpkg-query is missing",
                      "use Debian 12, or install what packages.txt lists by your own means")
    found = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *wanted],
                           capture_output=True, text=True, check=False).stdout
    have = {line.split()[0] for line in found.splitlines() if line.endswith(" installed")}
    return [name for name in wanted if name not in have]


def install_packages():
    """Installs what packages.txt lists; makes no apt call when nothing is missing."""
    missing = missing_packages()
    if not missing:
        return
    print(f"      installing {' '.join(missing)}", flush=True)
    prefix = []
    if os.geteuid() != 0:
        if shutil.which("sudo") is None:
            raise Failure(f"Debian packages are missing: {' '.join(missing)}",
                          f"as root run: apt-get install {' '.join(missing)}")
        prefix = ["sudo"]
    fix = "check the network and the sources of apt, then run the same command again"
    run([*prefix, "apt-get", "update", "-q"], fix, "apt-get update failed", quiet=True)
    run([*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-q",
         "--no-install-recommends", *missing], fix, "apt-get install failed", quiet=True)


def python_environment(requirements):
    """The Python of a private environment with the packages of a requirements file."""
    text = requirements.read_bytes() if requirements else b"pip only"
    key = hashlib.sha256(text + sys.version.encode()).hexdigest()[:16]
    folder = cache() / f"python-{key}"
    python = folder / "bin/python"
    stamp = folder / "complete"
    with lock(cache() / f"python-{key}.lock", "the Python environment"):
        if stamp.exists():
            return python
        shutil.rmtree(folder, ignore_errors=True)
        run([sys.executable, "-m", "venv", folder], "install the package python3-venv",
            "a Python environment cannot be made", quiet=True)
        if requirements:
            run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
                 "-r", requirements],
                "check the network and pip's configuration, then run the same command again",
                f"pip cannot install {requirements.relative_to(ROOT)}", quiet=True)
        stamp.touch()
    return python
