"""Changes to llama.cpp's own code, made in a tree of links beside the pinned one.

Each names a file, the text that must stand there exactly once, and what stands there instead. The
programs that benches compare with are built without them. docs/decisions/011 says why.
"""

import os
import pathlib
import shutil

from steps import Failure

_CPU = "ggml/src/ggml-cpu/ggml-cpu.c"
_BARRIER = "void ggml_barrier(struct ggml_threadpool * tp) {\n"
_BARRIER_PASSED = """\
        atomic_fetch_add_explicit(&tp->n_barrier_passed, 1, memory_order_seq_cst);
        return;
"""
_BARRIER_WAIT = """\
    while (atomic_load_explicit(&tp->n_barrier_passed, memory_order_relaxed) == n_passed) {
        ggml_thread_cpu_relax();
    }
"""


def _code(name):
    return (pathlib.Path(__file__).resolve().parents[2] / "cmake" / name).read_text("utf-8")


EDITS = [
    (_CPU, _BARRIER, _code("llama_barrier.h") + _BARRIER),
    (_CPU, _BARRIER_PASSED, """\
        atomic_fetch_add_explicit(&tp->n_barrier_passed, 1, memory_order_seq_cst);
        deepseek_wake(&tp->n_barrier_passed);
        return;
"""),
    (_CPU, _BARRIER_WAIT, """\
    deepseek_wait(&tp->n_barrier_passed, n_passed);
"""),
]


def edited(source, folder, pinned):
    """`folder` becomes the tree of `source` with the changes; its other files are shared.

    The `pinned` version must fit them; another one that does not goes without.
    """
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source, folder, copy_function=_link)
    wrong = [name for name, before, _ in EDITS
             if (folder / name).read_text("utf-8").count(before) != 1]
    if wrong and pinned:
        raise Failure(f"{wrong[0]} of llama.cpp is not as tools/dev/llama_edits.py expects it",
                      "adapt its changes to this version of llama.cpp")
    if wrong:
        print(f"      {wrong[0]} of this llama.cpp stays as it is: llama_edits.py does not fit it")
        return folder
    for name, before, after in EDITS:
        path = folder / name
        text = path.read_text("utf-8")
        path.unlink()  # a link: the pinned tree keeps its own
        path.write_text(text.replace(before, after), "utf-8")
    return folder


def _link(source, target):
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)
