"""Builds llama.cpp into the cache, once for each version, set of flags, compiler and CPU.

A native build runs only on the CPU it was made for, so the CPU's whole list of features is part of
the key. `portable` carries all CPU variants and chooses at run time: `./dev package` ships it.
"""

import hashlib
import pathlib
import re
import shutil
import subprocess

import download
import llama_edits
from steps import Failure, cache, lock, ninja, run

_COMMON = {
    "CMAKE_BUILD_TYPE": "Release", "BUILD_SHARED_LIBS": "ON", "LLAMA_BUILD_COMMON": "ON",
    "LLAMA_BUILD_TESTS": "OFF", "LLAMA_BUILD_EXAMPLES": "OFF", "LLAMA_BUILD_APP": "OFF",
    "LLAMA_BUILD_UI": "OFF", "LLAMA_USE_PREBUILT_UI": "OFF", "LLAMA_OPENSSL": "OFF",
    "LLAMA_CURL": "OFF", "LLAMA_BUILD_NUMBER": "1", "LLAMA_BUILD_COMMIT": download.LLAMA_VERSION,
    "CMAKE_INSTALL_RPATH": "$ORIGIN", "CMAKE_BUILD_WITH_INSTALL_RPATH": "ON",
}
# Images for the engine: no video, for which it would run programs that it finds on the machine.
_LIBRARIES = {"LLAMA_BUILD_MTMD": "ON", "MTMD_VIDEO": "OFF"}
_NATIVE = {"GGML_NATIVE": "ON", "GGML_OPENMP": "OFF"}
_PORTABLE = {"GGML_NATIVE": "OFF", "GGML_OPENMP": "OFF", "GGML_BACKEND_DL": "ON",
             "GGML_CPU_ALL_VARIANTS": "ON"}


# Before every C++ file: corrections of what the compiler gets wrong.
_FIXES = pathlib.Path(__file__).resolve().parents[2] / "cmake" / "llama_fixes.hpp"


def cpu_features():
    """Model and features of this CPU, as the kernel lists them."""
    text = pathlib.Path("/proc/cpuinfo").read_text("ascii", "replace")
    first = text.split("\n\n")[0]
    wanted = ("vendor_id", "cpu family", "model", "model name", "stepping", "flags", "Features")
    return "\n".join(line for line in first.splitlines()
                     if line.split(":")[0].strip() in wanted)


def _key(flags, portable, source, programs):
    compiler = subprocess.run(["c++", "--version"], capture_output=True, text=True,
                              check=False).stdout.splitlines()[:1]
    parts = [download.LLAMA_VERSION, sorted(flags.items()), compiler, _tree_state(source),
             _FIXES.read_text("utf-8"), [] if programs else [*llama_edits.EDITS, _INSIDE],
             "" if portable else cpu_features()]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _tree_state(source):
    """Nothing for the pinned tree; another tree counts with its files' sizes and times."""
    if source is None:
        return ""
    if not (source / "CMakeLists.txt").exists():
        raise Failure(f"DEEPSEEK_LLAMA_SOURCE={source} holds no llama.cpp",
                      "give the folder that has llama.cpp's CMakeLists.txt")
    files = [path for suffix in ("*.c", "*.cpp", "*.h", "*.cu", "CMakeLists.txt")
             for path in source.rglob(suffix)]
    states = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in sorted(files)]
    return hashlib.sha256(repr(states).encode()).hexdigest()


def prefix(extra=None, portable=False, programs=False, source=None):
    """The folder with include/ and lib/, or with bin/: llama-server and llama-bench as they are."""
    tools = "ON" if programs else "OFF"
    flags = {**_COMMON, "LLAMA_BUILD_TOOLS": tools, "LLAMA_BUILD_SERVER": tools,
             **({} if programs else _LIBRARIES), **(_PORTABLE if portable else _NATIVE),
             **(extra or {})}
    key = _key(flags, portable, source, programs)
    folder = cache() / f"llama-{key}"
    with lock(cache() / f"llama-{key}.lock", "the same llama.cpp build"):
        if not (folder / "complete").exists():
            _build(source or download.llama_source(), flags, cache() / f"llama-build-{key}",
                   folder, programs, pinned=source is None)
    return folder


def _build(source, flags, build, folder, programs, pinned):
    print("      building llama.cpp for this CPU and these flags; later runs reuse it", flush=True)
    fix = f"see the messages above; `rm -rf {build}` starts from nothing"
    build.mkdir(parents=True, exist_ok=True)
    fixes = shutil.copy2(_FIXES, build)
    if not programs:
        source = llama_edits.edited(source, build / "source", pinned)
    settings = [f"-D{name}={value}" for name, value in sorted(flags.items())]
    settings.append(f"-DCMAKE_CXX_FLAGS=-include {fixes}")
    run(["cmake", "-S", source, "-B", build, "-G", "Ninja", *settings], fix,
        "llama.cpp cannot be configured", quiet=True)
    targets = ["llama-server", "llama-bench"] if programs else ["llama", "llama-common", "mtmd"]
    variants = _targets(build, r"^(ggml-[\w-]+): phony") if "GGML_BACKEND_DL" in flags else []
    ninja(build, [*targets, *variants], fix)
    shutil.rmtree(folder, ignore_errors=True)
    for suffix, patterns in _headers():
        target = folder / "include" / suffix
        for pattern in patterns:
            _copy_headers(source, pattern, target)
    for header in _MTMD:
        shutil.copy2(source / header, folder / "include")
    (folder / "include" / "inside").mkdir()
    for header in _INSIDE:
        shutil.copy2(source / header, folder / "include" / "inside")
    (folder / "lib").mkdir()
    for library in sorted((build / "bin").glob("*.so*")):
        shutil.copy2(library, folder / "lib", follow_symlinks=False)
    if programs:
        (folder / "bin").mkdir()
        for name in targets:
            shutil.copy2(build / "bin" / name, folder / "bin")
        for library in sorted((build / "bin").glob("*.so*")):
            shutil.copy2(library, folder / "bin", follow_symlinks=False)
    (folder / "complete").write_text("\n".join(settings), "utf-8")
    shutil.rmtree(build, ignore_errors=True)


# What a buffer type beside llama.cpp's own is written against.
_INSIDE = ("ggml/src/ggml-impl.h", "ggml/src/ggml-backend-impl.h",
           "ggml/src/ggml-cpu/ggml-cpu-impl.h", "ggml/src/ggml-cpu/traits.h")

_MTMD = ("tools/mtmd/mtmd.h", "tools/mtmd/mtmd-helper.h")


def _headers():
    return [("", ["include", "ggml/include"]), ("common", ["common"]), ("vendor", ["vendor"])]


def _copy_headers(source, folder, target):
    for header in sorted((source / folder).rglob("*")):
        if header.suffix in (".h", ".hpp"):
            place = target / header.relative_to(source / folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(header, place)


def _targets(build, pattern):
    listed = subprocess.run(["ninja", "-C", build, "-t", "targets", "all"], capture_output=True,
                            text=True, check=False).stdout
    return [match[1] for line in listed.splitlines() if (match := re.match(pattern, line))]
