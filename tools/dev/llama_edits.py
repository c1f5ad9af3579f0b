"""Changes to llama.cpp's own code, made in a tree of links beside the pinned one.

Each names a file, the text that must stand there exactly once, and what stands there instead. The
programs that benches compare with are built without them. docs/decisions/019 says why.
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
_OPS = "ggml/src/ggml-cpu/ops.cpp"
_ONE_CHUNK = "static void ggml_compute_forward_flash_attn_ext_f16_one_chunk(\n"
_ROW_LOOP = """\
        for (int64_t ic = ic_start; ic < ic_end; ++ic) {
            const float mv = mp ? slope*GGML_CPU_FP16_TO_FP32(mp[ic]) : 0.0f;
"""
_TILE_HEAD = "        int ir0, int ir1) {\n"
_TILE_LOOP = """\
        for (int64_t ic = 0; ic < nek1; ic += KV_TILE_SZ) {
            const int kv_tile = (int)std::min((int64_t)KV_TILE_SZ, nek1 - ic);

            // skip the tile entirely if all the masks are -inf
"""
_TILE_MASK = "slope * GGML_CPU_FP16_TO_FP32(mp_row[ic + tk])"
_TILE_KEY = "(const char *)k->data + (ic + tk)*nbk1"
_TILE_VALUE = "(const char *)v->data + (ic + tk)*nbv1"
_TILE_SCORES = """\
            memset(KQ, 0, Q_TILE_SZ * KV_TILE_SZ * sizeof(float));
            simd_gemm(KQ, (const float *)Q_q, K_f32, Q_TILE_SZ, DK, KV_TILE_SZ);
            ggml_vec_scale_f32(Q_TILE_SZ * KV_TILE_SZ, KQ, scale);
"""
_TILE_SKIPS = """\
            bool skip[Q_TILE_SZ] = {};

            for (int tq = 0; tq < Q_TILE_SZ; tq++) {
"""
_TILE_ZEROES = """\
            for (int tq = 0; tq < Q_TILE_SZ; tq++) {
                if (skip[tq]) {
"""
_TILE_SUM = "simd_gemm(VKQ32, KQ, V32, Q_TILE_SZ, KV_TILE_SZ, DV);"
_TILE_ROWS = "        GGML_ASSERT(tile_rows > 0);\n"
_ALL_ROWS = """\
    } else {

        // total rows in q
"""
_F16 = "static void ggml_compute_forward_flash_attn_ext_f16(\n"


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
    (_OPS, _ONE_CHUNK, _code("llama_attention_cells.hpp") + _ONE_CHUNK),
    (_OPS, _ROW_LOOP, """\
        for (int64_t ic = ic_start; ic < ic_end; ++ic) {
            if (mp) {
                ic = deepseek_open_cell(mp, ic, ic_end);
                if (ic == ic_end) {
                    break;
                }
            }
            const float mv = mp ? slope*GGML_CPU_FP16_TO_FP32(mp[ic]) : 0.0f;
"""),
    (_OPS, _TILE_HEAD, """\
        int ir0, int ir1, int64_t first_cell = 0, int64_t last_cell = INT64_MAX) {
"""),
    (_OPS, _TILE_LOOP, """\
        int64_t next_cell = first_cell;
        const int64_t end_cell = MIN(nek1, last_cell);
        int64_t cells[KV_TILE_SZ];
        const char * tile_mask = mask ? (const char *) mask->data + iq1*mask->nb[1] +
            (iq2%mask->ne[2])*mask->nb[2] + (iq3%mask->ne[3])*mask->nb[3] : nullptr;
        for (;;) {
            const int kv_tile = deepseek_open_cells(tile_mask, mask ? mask->nb[1] : 0, tile_rows,
                &next_cell, end_cell, KV_TILE_SZ, cells);
            if (kv_tile == 0) {
                break;
            }

"""),
    (_OPS, _TILE_ROWS, _TILE_ROWS + """\
        const int gemm_rows = MIN(Q_TILE_SZ, (tile_rows + 3)/4*4);
"""),
    (_OPS, _TILE_SCORES, _TILE_SCORES.replace("Q_TILE_SZ", "gemm_rows")),
    (_OPS, _TILE_SKIPS, _TILE_SKIPS.replace("tq < Q_TILE_SZ", "tq < gemm_rows")),
    (_OPS, _TILE_ZEROES, _TILE_ZEROES.replace("Q_TILE_SZ", "gemm_rows")),
    (_OPS, _TILE_SUM, _TILE_SUM.replace("Q_TILE_SZ", "gemm_rows")),
    (_OPS, _ALL_ROWS, """\
    } else if (!use_ref && deepseek_attention_by_runs(params, dst)) {
        // done
""" + _ALL_ROWS),
    (_OPS, _F16, _code("llama_attention_runs.hpp") + _F16),
    (_OPS, _TILE_MASK, _TILE_MASK.replace("ic + tk", "cells[tk]")),
    (_OPS, _TILE_KEY, _TILE_KEY.replace("(ic + tk)", "cells[tk]")),
    (_OPS, _TILE_VALUE, _TILE_VALUE.replace("(ic + tk)", "cells[tk]")),
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
