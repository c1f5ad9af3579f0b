"""Builds xgrammar's C++ core into the cache, once for each version, set of flags and compiler.

It is a static library for any CPU of the architecture, so the CPU is no part of the key. What a
sanitizer must see of its threads is compiled for that sanitizer.
"""

import hashlib
import pathlib
import shutil
import subprocess

import download
from steps import Failure, cache, lock, ninja, run

# Its own flags ask for link-time optimization and fail on warnings of other compilers; both come
# before these.
_FLAGS = "-fno-lto -Wno-error -g1"
_CONFIG = """set(XGRAMMAR_BUILD_PYTHON_BINDINGS OFF)
set(XGRAMMAR_BUILD_CXX_TESTS OFF)
set(XGRAMMAR_ENABLE_CPPTRACE OFF)
set(XGRAMMAR_ENABLE_COVERAGE OFF)
set(XGRAMMAR_ENABLE_INTERNAL_CHECK OFF)
"""

# A compilation cannot be interrupted from outside, and a hostile grammar makes it long. With these
# edits it asks before each state of an automaton whether to go on; it leaves by an exception.
_EDITS = (
    ("include/xgrammar/compiler.h", "/*!\n * \\brief The compiled grammar of a GrammarMatcher.",
     "/*! \\brief If set, asked often while this thread compiles; it may throw. */\n"
     "extern thread_local void (*compile_checkpoint)();\n\n"),
    ("cpp/grammar_compiler.cc", "CompiledGrammar GrammarCompilerSub::CompileBuiltinJSONGrammar()",
     "thread_local void (*compile_checkpoint)() = nullptr;\n\n"),
    ("cpp/grammar_compiler.cc", "    auto grammar_matcher = GrammarMatcherForTokenMaskCache(",
     "    if (compile_checkpoint != nullptr) compile_checkpoint();\n"),
)


def prefix(sanitizer=""):
    """The folder with include/ and lib/libxgrammar.a; `sanitizer` is "thread" or empty."""
    # Its errors name files of its source; none of them shall name a folder of this machine.
    flags = _FLAGS + f" -ffile-prefix-map={cache()}=."
    flags += f" -fsanitize={sanitizer} -Wno-tsan" if sanitizer else ""
    compiler = subprocess.run(["c++", "--version"], capture_output=True, text=True,
                              check=False).stdout.splitlines()[:1]
    parts = [download.XGRAMMAR_VERSION, flags, _CONFIG, _EDITS, compiler]
    key = hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
    folder = cache() / f"xgrammar-{key}"
    with lock(cache() / f"xgrammar-{key}.lock", "the same xgrammar build"):
        if not (folder / "complete").exists():
            _build(download.xgrammar_source(), flags, cache() / f"xgrammar-build-{key}", folder)
    return folder


def _build(source, flags, build, folder):
    print("      building xgrammar; later runs reuse it", flush=True)
    fix = f"see the messages above; `rm -rf {build}` starts from nothing"
    build.mkdir(parents=True, exist_ok=True)
    (build / "config.cmake").write_text(_CONFIG, "utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    source = _edited(source, build / "source")
    run(["cmake", "-S", source, "-B", build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
         f"-DCMAKE_CXX_FLAGS={flags}", f"-DCMAKE_INSTALL_PREFIX={folder}",
         "-DCMAKE_INSTALL_LIBDIR=lib"], fix, "xgrammar cannot be configured", quiet=True)
    ninja(build, ["xgrammar"], fix)
    run(["cmake", "--install", build], fix, "xgrammar cannot be installed", quiet=True)
    (folder / "complete").write_text(flags, "utf-8")
    shutil.rmtree(build, ignore_errors=True)


def _edited(source, folder):
    """A copy of what is built, with each edit in front of the one place that it names."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("cpp", "include", "3rdparty/picojson", "3rdparty/dlpack"):
        shutil.copytree(source / name, folder / name)
    shutil.copy2(source / "CMakeLists.txt", folder)
    for name, place, text in _EDITS:
        file = folder / name
        before = file.read_text("utf-8")
        if before.count(place) != 1:
            raise Failure(f"xgrammar's {name} does not have the one place that is edited",
                          "see _EDITS in tools/dev/xgrammar.py")
        file.write_text(before.replace(place, text + place), "utf-8")
    return pathlib.Path(folder)
