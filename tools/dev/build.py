"""Configures and builds a preset under build/PRESET, with what it links and the model in place."""

import os
import pathlib
import subprocess

import download
import llama
import xgrammar
from steps import ROOT, Failure, lock, ninja, run

PRESETS = ("dev", "release", "tsan", "fuzz", "package")
_BUILD_FIX = "correct it and run the same command again; only what changed is built"


def split_definitions(arguments):
    """-D options that llama.cpp gets, the ones that our CMake gets, and its source tree."""
    ours, theirs, source = [], {}, None
    for argument in arguments:
        if not argument.startswith("-D") or "=" not in argument:
            raise Failure(f"{argument} is not a definition",
                          "after -- write definitions such as -DGGML_CUDA=ON")
        name, value = argument[2:].split("=", 1)
        name = name.split(":")[0]
        if name == "DEEPSEEK_LLAMA_SOURCE":
            source = pathlib.Path(value).resolve()
        elif name.startswith(("GGML_", "LLAMA_")):
            theirs[name] = value
        else:
            ours.append(argument)
    return ours, theirs, source


def folder(preset):
    return ROOT / "build" / preset


def build(preset, definitions=(), targets=("all",)):
    """Returns the folder of the programs."""
    ours, theirs, source = split_definitions(definitions)
    settings = list(ours)
    if preset != "fuzz":
        prefix = llama.prefix(theirs, portable=preset == "package", source=source)
        release = "another tree" if source else download.LLAMA_VERSION
        settings += [f"-DDEEPSEEK_LLAMA_PREFIX={prefix}", f"-DDEEPSEEK_LLAMA_VERSION={release}",
                     f"-DDEEPSEEK_MODEL_FILE={download.default_model()}"]
        grammars = xgrammar.prefix("thread" if preset == "tsan" else "")
        settings += [f"-DDEEPSEEK_XGRAMMAR_PREFIX={grammars}",
                     f"-DDEEPSEEK_SWAGGER_UI={download.swagger_ui()}"]
    with lock(ROOT / "build" / f"{preset}.lock", f"build/{preset}"):
        _configure(preset, settings)
        ninja(folder(preset), targets, _BUILD_FIX)
    return folder(preset) / "bin"


def _configure(preset, settings):
    """Runs CMake only when the settings differ from the last time; ninja sees changed files."""
    stamp = folder(preset) / ".configured-with"
    text = "\n".join([preset, *settings, (ROOT / "CMakePresets.json").read_text("utf-8")])
    if stamp.exists() and stamp.read_text("utf-8") == text:
        return
    run(["cmake", "--preset", preset, *settings],
        f"see the messages above; `rm -rf build/{preset}` starts from nothing",
        f"CMake cannot configure the preset {preset}", quiet=True)
    stamp.write_text(text, "utf-8")


def test_environment(preset):
    """The environment of programs under test, without settings of the caller's."""
    kept = {key: value for key, value in os.environ.items()
            if not key.startswith("DEEPSEEK_") or key == "DEEPSEEK_CACHE"}
    return {**kept, "DEEPSEEK_BIN": str(folder(preset) / "bin"),
            "DEEPSEEK_BUILD": str(folder(preset))}


def version():
    text = (ROOT / "CMakeLists.txt").read_text("utf-8")
    return text.split("VERSION ", 2)[2].split()[0].rstrip(")")


def commit():
    done = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True,
                          text=True, check=False)
    return done.stdout.strip() or "unknown"
