"""The default model's file."""

import os
import pathlib

from support.server import ROOT, programs


def default_model():
    """Its path; DEEPSEEK_TEST_MODEL names another place."""
    if "DEEPSEEK_TEST_MODEL" in os.environ:
        return pathlib.Path(os.environ["DEEPSEEK_TEST_MODEL"])
    folders = [programs().parent / "share/models", ROOT / "share/models", ROOT / "models"]
    for folder in folders:
        for file in sorted(folder.glob("*.gguf")):
            return file
    raise AssertionError(f"no model in {', '.join(map(str, folders))}; run ./dev build")
