"""Numbered steps on the terminal, and failures that name their cause and the fix."""

import contextlib
import fcntl
import os
import pathlib
import shlex
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Failure(Exception):
    """An expected failure of a step: what went wrong, and what the reader can do."""

    def __init__(self, cause, fix, code=1):
        super().__init__(cause)
        self.cause = cause
        self.fix = fix
        self.code = code


class Steps:
    """Counts the steps of one command; the number of all steps is known before the first."""

    def __init__(self, names):
        self._names = list(names)
        self._at = 0
        self._started = time.monotonic()

    @contextlib.contextmanager
    def step(self, name):
        assert name in self._names, name
        self._at = self._names.index(name) + 1
        say(f"[{self._at}/{len(self._names)}] {name}")
        began = time.monotonic()
        yield
        took = time.monotonic() - began
        if took >= 1:
            say(f"      done in {took:.0f} s")

    def finished(self):
        say(f"done in {time.monotonic() - self._started:.0f} s")


def say(text):
    print(f"[dev] {text}", flush=True)


def cache():
    """The folder outside the checkout for everything slow to make."""
    if os.environ.get("DEEPSEEK_CACHE"):
        folder = pathlib.Path(os.environ["DEEPSEEK_CACHE"])
    else:
        base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
        folder = pathlib.Path(base) / "deepseek-server"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Failure(f"the cache folder {folder} cannot be made: {error.strerror}",
                      "set DEEPSEEK_CACHE to a folder you can write") from None
    return folder.resolve()


@contextlib.contextmanager
def lock(path, what):
    """Holds an exclusive lock on a file; says so when another ./dev holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"      waiting for another ./dev that uses {what}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run(command, fix, cause=None, quiet=False, **options):
    """Runs a command to its end. `quiet` shows its output only when it fails."""
    command = [str(part) for part in command]
    options.setdefault("cwd", ROOT)
    if quiet:
        options.update(stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        done = subprocess.run(command, check=False, **options)
    except FileNotFoundError:
        raise Failure(f"the program {command[0]} is missing", fix) from None
    if done.returncode:
        if quiet:
            sys.stdout.write(done.stdout)
        shown = cause or f"`{shlex.join(command)[:200]}` ended with {done.returncode}"
        raise Failure(shown, fix)
    return done


def ninja(folder, targets, fix):
    """Builds targets; on a terminal one line that moves, in a log a line now and then."""
    # Clones in other folders share what ccache has.
    environment = {**os.environ, "NINJA_STATUS": "      [%f/%t] ", "CCACHE_NOHASHDIR": "1",
                   "CCACHE_BASEDIR": str(ROOT), "CCACHE_SLOPPINESS": "pch_defines,time_macros"}
    command = ["ninja", "-C", str(folder), *targets]
    if sys.stdout.isatty():
        run(command, fix, "the build failed; the first error is above", env=environment)
        return
    _ninja_in_log(command, environment, fix)


def _ninja_in_log(command, environment, fix):
    shown, kept = 0.0, []
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace") as process:
        for line in process.stdout:
            progress = line.startswith("      [")
            if not progress:
                kept.append(line)
            if progress and time.monotonic() - shown > 10:
                shown = time.monotonic()
                print(line.rstrip()[:100], flush=True)
    if process.returncode:
        sys.stdout.write("".join(kept[-200:]))
        raise Failure("the build failed; its messages are above", fix)
