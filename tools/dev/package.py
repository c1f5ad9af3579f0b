"""The relocatable tarball: bin/, lib/, config/ and share/, and a first run of it."""

import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import tarfile
import tempfile
import time
import urllib.request

import build
import download
from steps import ROOT, Failure, run

# What every Debian 12 has; a package must not bring its own C library or C++ runtime.
_SYSTEM = re.compile(r"^(linux-vdso|ld-linux|lib(c|m|dl|rt|pthread|stdc\+\+|gcc_s)\.so)")
_PROGRAMS = ("deepseek-server", "deepseek-engine", "deepseek")


def make():
    name = f"deepseek-server-{build.version()}-linux-{platform.machine()}"
    tree = ROOT / "dist" / name
    shutil.rmtree(tree, ignore_errors=True)
    for folder in ("bin", "lib", "config", "share/models", "share/doc", "share/licenses"):
        (tree / folder).mkdir(parents=True)
    _programs_and_libraries(tree)
    shutil.copytree(ROOT / "config", tree / "config", dirs_exist_ok=True)
    shutil.copytree(ROOT / "docs", tree / "share/doc", dirs_exist_ok=True)
    shutil.copytree(ROOT / "deploy/systemd", tree / "share/systemd")
    shutil.copy2(download.default_model(), tree / "share/models")
    for text in ("LICENSE", "README.md", "README.zh-CN.md", "CHANGELOG.md"):
        shutil.copy2(ROOT / text, tree / "share")
    shutil.copy2(download.llama_source() / "LICENSE", tree / "share/licenses/llama.cpp")
    for text in ("LICENSE", "NOTICE"):  # of xgrammar, and of what it carries
        shutil.copy2(download.xgrammar_source() / text, tree / f"share/licenses/xgrammar-{text}")
    shutil.copy2(download.swagger_ui() / "LICENSE", tree / "share/licenses/swagger-ui")
    archive = tree.parent / f"{name}.tar.gz"
    with tarfile.open(archive, "w:gz", compresslevel=6) as file:
        file.add(tree, name, filter=_without_owner)
    shutil.rmtree(tree)
    return archive


def _without_owner(member):
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member


def _programs_and_libraries(tree):
    built = build.folder("package") / "bin"
    for program in _PROGRAMS:
        if (built / program).exists():
            shutil.copy2(built / program, tree / "bin")
    for library in sorted(built.glob("*.so*")):
        # The loader asks for the soname; the names without a number serve only the linker.
        if library.is_symlink() and library.name.endswith(".so"):
            continue
        if library.is_symlink() or not re.search(r"\.so\.\d+\.", library.name):
            shutil.copy2(library.resolve(), tree / "lib" / library.name)
    for file in [*(tree / "bin").iterdir(), *(tree / "lib").iterdir()]:
        for place in _needed(file):
            target = tree / "lib" / place.name
            if not target.exists():
                shutil.copy2(place, target)
                _license(place, tree / "share/licenses")
    for file in [*(tree / "bin").iterdir(), *(tree / "lib").iterdir()]:
        file.chmod(0o755)
        run(["strip", "--strip-unneeded", file], "install binutils")


def _license(library, folder):
    """The copyright file of the Debian package that brought this library."""
    found = subprocess.run(["dpkg-query", "-S", library, library.resolve()], capture_output=True,
                           text=True, check=False).stdout
    if found:
        package = found.split(":")[0]
        shutil.copy2(f"/usr/share/doc/{package}/copyright", folder / package)


def _needed(file):
    """Libraries of the system that this file needs, beyond what every Debian has."""
    environment = {**os.environ, "LD_LIBRARY_PATH": str(build.folder("package") / "bin")}
    done = subprocess.run(["ldd", file], capture_output=True, text=True, check=False,
                          env=environment)
    for line in done.stdout.splitlines():
        match = re.match(r"\s*(\S+) => (/\S+)", line)
        if "not found" in line:
            raise Failure(f"{file.name} needs {line.split()[0]}, which is not here",
                          "run ./dev package again after ./dev clean")
        if match and not _SYSTEM.match(match[1]):
            yield pathlib.Path(match[2])


def try_it(archive):
    """Unpacks the archive elsewhere and asks it for an answer in an empty environment."""
    with tempfile.TemporaryDirectory(prefix="deepseek-package-") as work:
        with tarfile.open(archive) as file:
            file.extractall(work)
        tree = next(pathlib.Path(work).iterdir())
        server = tree / "bin/deepseek-server"
        environment = {"PATH": "/usr/bin:/bin", "HOME": work}
        run([server, "--version"], "the package is incomplete; see above", cwd=work,
            env=environment)
        log = pathlib.Path(work, "log")
        with open(log, "w", encoding="utf-8") as output:
            process = subprocess.Popen(
                [server, "--port", "0", "--set", "metrics.port=0", "--set", "log.format=json"],
                cwd=work, env=environment, stdout=output, stderr=subprocess.STDOUT)
        try:
            answer = _ask(process, log)
        finally:
            process.terminate()
            process.wait(30)
        print(f"      the unpacked server answered: {answer[:60]!r}")


def _ask(process, log):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        found = re.search(r'"port": ?"?(\d+)"?', _line_of_api(log))
        if found:
            try:
                return _post(f"http://127.0.0.1:{found[1]}/api/v1/infer")
            except OSError:
                pass
        time.sleep(0.2)
    print(log.read_text("utf-8", "replace")[-3000:])
    raise Failure("the unpacked server gives no answer; its log is above",
                  "compare with `./dev serve`; libraries that are missing are named in the log")


def _line_of_api(log):
    for line in log.read_text("utf-8", "replace").splitlines():
        if '"listening"' in line and '"api"' in line:
            return line
    return ""


def _post(url):
    body = json.dumps({"query": "Say hello.", "max_tokens": 8}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)["answer"]
