"""Changes to llama.cpp's own code, made in a tree of links beside the pinned one.

Each names a file, the text that must stand there exactly once, and what stands there instead. The
programs that benches compare with are built without them. docs/decisions/019 says why.
"""

import os
import shutil

from steps import Failure

_OPS = "ggml/src/ggml-cpu/ops.cpp"
_ONE_CHUNK = "static void ggml_compute_forward_flash_attn_ext_f16_one_chunk(\n"
_ROW_LOOP = """\
        for (int64_t ic = ic_start; ic < ic_end; ++ic) {
            const float mv = mp ? slope*GGML_CPU_FP16_TO_FP32(mp[ic]) : 0.0f;
"""
_TILE_SKIP = """\
            // skip the tile entirely if all the masks are -inf
            if (mask) {
"""

EDITS = [
    (_OPS, _ONE_CHUNK, """\
// The first cell from `cell` on that the mask may leave open, or one of the 15 before it.
static inline int64_t deepseek_open_cell(const ggml_fp16_t * mask, int64_t cell, int64_t end) {
    const uint64_t closed = 0xFC00FC00FC00FC00ull; // -inf, four times
    while (cell + 16 <= end) {
        uint64_t word[4];
        memcpy(word, mask + cell, sizeof(word));
        if (((word[0] ^ closed) | (word[1] ^ closed) | (word[2] ^ closed) | (word[3] ^ closed))) {
            break;
        }
        cell += 16;
    }
    return cell;
}

// True only if the mask closes all cells from `cell` to `end` for `rows` rows.
static inline bool deepseek_tile_closed(const char * mask, size_t stride, int rows, int64_t cell,
                                        int64_t end) {
    for (int row = 0; row < rows; ++row) {
        if (deepseek_open_cell((const ggml_fp16_t *)(mask + row*stride), cell, end) < end) {
            return false;
        }
    }
    return true;
}

""" + _ONE_CHUNK),
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
    (_OPS, _TILE_SKIP, """\
            if (mask && deepseek_tile_closed((const char *) mask->data + iq1*mask->nb[1] +
                    (iq2%mask->ne[2])*mask->nb[2] + (iq3%mask->ne[3])*mask->nb[3],
                    mask->nb[1], tile_rows, ic, ic + kv_tile)) {
                continue;
            }
""" + _TILE_SKIP),
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
