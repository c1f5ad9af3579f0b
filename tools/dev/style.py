"""Formatting and clang-tidy, on our own C++ files only."""

import concurrent.futures
import hashlib
import json
import os
import subprocess

import build
from steps import ROOT, Failure, cache, run, say

# Whole-program Asio code costs clang-tidy half a minute a file; these rooms are plain C++.
_PLAIN_ROOMS = ("src/base/", "src/protocol/", "src/engine/", "src/observe/", "src/server/")


def sources(suffixes=(".cpp", ".hpp")):
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT,
                            capture_output=True, text=True, check=True).stdout
    return sorted(ROOT / name for name in listed.splitlines()
                  if name.endswith(suffixes) and (ROOT / name).is_file())


def format_all():
    files = sources((".cpp", ".hpp", ".proto"))
    code = [path for path in files if path.suffix != ".proto"]
    run(["clang-format-19", "-i", *code], "install clang-format-19")
    return len(code)


def clang_tidy(everything):
    """Runs clang-tidy on changed files; a file that was clean with the same text is left out."""
    known = cache() / "clang-tidy"
    known.mkdir(exist_ok=True)
    shared = hashlib.sha256((ROOT / ".clang-tidy").read_bytes())
    for header in sources((".hpp",)):
        shared.update(header.read_bytes())
    built = _compiled_files()
    files = [path for path in sources((".cpp",)) if str(path) in built
             and (everything or str(path.relative_to(ROOT)).startswith(_PLAIN_ROOMS))
             and not path.name.endswith("_test.cpp")]
    keys = {path: hashlib.sha256(path.read_bytes() + shared.digest()).hexdigest()
            for path in files}
    todo = [path for path in files if not (known / keys[path]).exists()]
    wrong = []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for at, (path, output) in enumerate(zip(todo, pool.map(_tidy_one, todo)), 1):
            say(f"      [{at}/{len(todo)}] {path.relative_to(ROOT)}")
            if output:
                wrong.append(output)
            else:
                (known / keys[path]).touch()
    if wrong:
        print("\n".join(wrong))
        raise Failure(f"clang-tidy has something to say about {len(wrong)} files",
                      "correct what is above; .clang-tidy holds the rules")


def _compiled_files():
    commands = build.folder("dev") / "compile_commands.json"
    return {entry["file"] for entry in json.loads(commands.read_text("utf-8"))}


def _tidy_one(path):
    done = subprocess.run(["clang-tidy-19", "--quiet", "-p", build.folder("dev"), path],
                          cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode else ""
