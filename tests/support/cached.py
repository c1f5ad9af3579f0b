"""What ./dev keeps in its cache for the tests, also for those who run them without it."""

import os
import pathlib

import pytest


def folder():
    return pathlib.Path(os.environ.get("DEEPSEEK_CACHE", "~/.cache/deepseek-server")).expanduser()


def find(variable, pattern, words):
    """The path that the environment's `variable` says, else one that fits `pattern`; or a skip."""
    if os.environ.get(variable):
        return pathlib.Path(os.environ[variable])
    found = sorted(folder().glob(pattern))
    if not found:
        pytest.skip(f"no {words}: set {variable}; ./dev test as a whole brings it")
    return found[-1]
