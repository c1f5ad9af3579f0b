"""Every header compiles alone; what did not change since the last run is not tried again."""

import concurrent.futures
import hashlib
import os
import pathlib
import subprocess

import pytest

from tidy import tree

BUILD = pathlib.Path(os.environ.get("DEEPSEEK_BUILD", tree.ROOT / "build/dev"))
COMMAND = ["c++", "-std=c++20", "-fcoroutines", "-fsyntax-only", "-x", "c++", "-w",
           "-DBOOST_ASIO_SEPARATE_COMPILATION", "-DBOOST_BEAST_SEPARATE_COMPILATION",
           "-DBOOST_ASIO_NO_DEPRECATED", "-I", str(tree.ROOT / "src"), "-I", str(BUILD / "proto")]


def _known():
    base = os.environ.get("DEEPSEEK_CACHE") or pathlib.Path.home() / ".cache/deepseek-server"
    folder = pathlib.Path(base) / "headers-alone"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _prefix():
    cache = BUILD / "CMakeCache.txt"
    lines = cache.read_text("utf-8").splitlines() if cache.exists() else []
    return next((line.split("=", 1)[1] for line in lines
                 if line.startswith("DEEPSEEK_LLAMA_PREFIX")), "")


def _key(path, seen=None):
    """The text of the header and of every header of ours that it includes."""
    seen = seen if seen is not None else set()
    if path in seen or not (tree.ROOT / path).exists():
        return ""
    seen.add(path)
    parts = [str(path), tree.text(path)]
    parts += [_key(pathlib.Path("src") / name, seen) for _, name in tree.includes(path)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _compile(path, prefix):
    command = [*COMMAND, str(tree.ROOT / path)]
    for folder in ("include", "include/common", "include/vendor", "include/inside"):
        command[1:1] = ["-isystem", f"{prefix}/{folder}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stderr[:1500] if done.returncode else ""


@pytest.mark.timeout(900)
def test_headers_compile_alone():
    known, prefix = _known(), _prefix()
    keys = {path: hashlib.sha256((repr(COMMAND) + _key(path)).encode()).hexdigest()
            for path in tree.files(("src",), (".hpp",))}
    todo = [path for path, key in keys.items() if not (known / key).exists()]
    wrong = []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for path, said in zip(todo, pool.map(lambda one: _compile(one, prefix), todo)):
            if said:
                wrong.append(f"{path} does not compile alone:\n{said}")
            else:
                (known / keys[path]).touch()
    tree.complain(wrong)
