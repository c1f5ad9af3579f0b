"""What is compiled for one instruction set must not be run on a processor without it: the linker
takes any one of several copies of an inline function, so these files may bring none."""

import os
import pathlib
import platform
import subprocess

import pytest

from tidy import tree

BUILD = pathlib.Path(os.environ.get("DEEPSEEK_BUILD", tree.ROOT / "build/dev"))
SHARED = set("VWu")  # kinds of symbols of which the linker keeps one: nm(1)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="these are files for x86-64")
@pytest.mark.parametrize("name", ["avx2", "avx512"])
def test_no_function_is_shared_with_other_files(name):
    file = BUILD / f"src/kernels/CMakeFiles/deepseek_kernels.dir/{name}.cpp.o"
    done = subprocess.run(["nm", "-C", "--defined-only", file], capture_output=True, text=True,
                          check=True)  # fmt: skip
    symbols = [line.split(maxsplit=2)[1:] for line in done.stdout.splitlines()]
    assert any(name == f"deepseek::kernels::{file.name.split('.')[0]}_kernels("
               "deepseek::kernels::Format)" for kind, name in symbols)  # fmt: skip
    shared = [name for kind, name in symbols if kind in SHARED and not name.startswith("DW.ref.")]
    assert not shared
