"""The kernels of this machine, for tests that must not depend on what is measured to be faster."""

import pathlib


def fastest():
    """As DEEPSEEK_KERNELS takes it; builds with sanitizers are measured to be slow with them."""
    flags = pathlib.Path("/proc/cpuinfo").read_text("ascii", "replace").split()
    if {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni"} <= set(flags):
        return "avx512_vnni"
    return "avx2" if {"avx2", "fma", "f16c"} <= set(flags) else "reference"
