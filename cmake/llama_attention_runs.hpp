// Attention for batches of many sequences: rows with the same cells go through a tile together, the
// others one by one.
//
// tools/dev/llama_edits.py puts this into ggml's ops.cpp, behind both ways; so it is compiled there
// and nowhere else. docs/decisions/019 says why.

// Rows of a batch that follow each other and look at about the same cells: mostly a sequence's.
struct deepseek_run {
  int64_t begin;
  int64_t end;
  int64_t first_cell;
  int64_t last_cell;  // behind it
  bool continues;     // the run before it
  bool tiled;
};

// Adds up how many cells a row looks at, and how many of them the row before looks at too, and
// widens the run's part of the pool.
static void deepseek_count_cells(const ggml_fp16_t* row, const ggml_fp16_t* before, int64_t end,
                                 deepseek_run* run, int64_t* open, int64_t* common) {
  *open = *common = 0;
  for (int64_t block = 0; block < end; block += 256) {
    const int64_t block_end = MIN(end, block + 256);
    int32_t count = 0;
    int32_t both = 0;
    for (int64_t cell = block; cell < block_end; ++cell) {
      const int32_t is_open = row[cell] != 0xFC00;
      count += is_open;
      both += is_open & (before[cell] != 0xFC00);
    }
    if (count > 0) {
      run->first_cell = MIN(run->first_cell, block);
      run->last_cell = MAX(run->last_cell, block_end);
    }
    *open += count;
    *common += both;
  }
}

// Finds the runs, and cuts them into tiles. A cell costs a tile as much as five rows alone do, and
// a ninth of one for each row of the tile. Tiles add up in another order than rows alone do: short
// prompts, their answers, and guesses are to come out as if computed one by one. Returns how many
// runs there are, or -1 if more than `most`.
static int deepseek_find_runs(const ggml_tensor* mask, int64_t rows, int64_t cells, int most,
                              deepseek_run* runs) {
  int count = 0;
  int64_t alone = 0;  // cells of all rows of the run
  int64_t tile = 0;   // cells of any
  int64_t depth = 0;  // cells of the first
  const auto close = [&](int64_t end) {
    runs[count].end = end;
    const int64_t size = end - runs[count].begin;
    const bool is_long =
        size == GGML_FA_TILE_Q || runs[count].continues || (size >= 16 && depth >= 256);
    runs[count].tiled = is_long && (45 + size) * tile < 9 * alone;
    ++count;
  };
  const auto open_run = [&](int64_t begin, bool continues) {
    runs[count] = {begin, begin, cells, 0, continues, false};
    alone = tile = 0;
  };
  open_run(0, false);
  for (int64_t row = 0; row < rows; ++row) {
    const char* data = (const char*)mask->data + row * mask->nb[1];
    const char* before = row > 0 ? data - mask->nb[1] : data;
    deepseek_run part = {row, row, cells, 0, false, false};
    int64_t open;
    int64_t common;
    deepseek_count_cells((const ggml_fp16_t*)data, (const ggml_fp16_t*)before, cells, &part, &open,
                         &common);
    const int64_t size = row - runs[count].begin;
    const bool continues = 2 * common >= open;
    if (size > 0 && (size == GGML_FA_TILE_Q || !continues)) {
      close(row);
      if (count == most) {
        return -1;
      }
      open_run(row, continues);
    }
    runs[count].first_cell = MIN(runs[count].first_cell, part.first_cell);
    runs[count].last_cell = MAX(runs[count].last_cell, part.last_cell);
    if (row == runs[count].begin) {
      depth = open;
    }
    tile += row == runs[count].begin ? open : open - common;
    alone += open;
  }
  close(rows);
  return count;
}

// Attention run by run, each head of each a piece of work; false if this is not for it.
static bool deepseek_attention_by_runs(const ggml_compute_params* params, ggml_tensor* dst) {
  const ggml_tensor* q = dst->src[0];
  const ggml_tensor* k = dst->src[1];
  const ggml_tensor* v = dst->src[2];
  const ggml_tensor* mask = dst->src[3];
  const bool plain = k->type == GGML_TYPE_F16 || k->type == GGML_TYPE_F32;
  if (!mask || mask->ne[2] != 1 || q->ne[3] != 1 || q->ne[1] < 2 || q->type != GGML_TYPE_F32 ||
      !plain || k->type != v->type) {
    return false;
  }
#if !defined(__x86_64__)
  if (v->ne[0] % 64 != 0) {  // elsewhere tiles want whole vectors, of up to so many floats
    return false;
  }
#endif
  static constexpr int most = 512;
  deepseek_run runs[most];
  const int count = deepseek_find_runs(mask, q->ne[1], k->ne[1], most, runs);
  if (count < 0) {
    return false;
  }
  if (params->ith == 0) {
    ggml_threadpool_chunk_set(params->threadpool, params->nth);
  }
  ggml_barrier(params->threadpool);
  // Both ways have their own layout of the threads' scratch; here each stays within its tile's.
  const int64_t small = k->ne[0] + 2 * v->ne[0] + CACHE_LINE_SIZE_F32;
  const int64_t tile = GGML_FA_TILE_Q * (k->ne[0] + 2 * GGML_FA_TILE_KV + v->ne[0]) +
                       GGML_FA_TILE_KV * (v->ne[0] + k->ne[0]) + CACHE_LINE_SIZE_F32;
  ggml_compute_params row_params = *params;
  row_params.wdata = (float*)params->wdata + params->ith * (tile - small);
  const int64_t heads = q->ne[2];
  for (int64_t piece = params->ith; piece < count * heads;
       piece = ggml_threadpool_chunk_add(params->threadpool, 1)) {
    const deepseek_run& run = runs[piece / heads];
    const int first = (int)(piece % heads * q->ne[1] + run.begin);
    const int last = first + (int)(run.end - run.begin);
    if (run.tiled) {
      ggml_compute_forward_flash_attn_ext_tiled(params, dst, first, last, run.first_cell,
                                                run.last_cell);
    } else {
      ggml_compute_forward_flash_attn_ext_f16_one_chunk(
          &row_params, dst, first, last,
          // what it does for sinks it does where it begins with the first cell
          dst->src[4] ? 0 : run.first_cell, run.last_cell, nullptr, 0);
    }
  }
  return true;
}
