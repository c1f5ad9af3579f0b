// What llama.cpp's attention on a CPU needs to pass over cells of others quickly.
//
// tools/dev/llama_edits.py puts this before it in ggml's ops.cpp, whose names it uses; so it is
// compiled there and nowhere else. docs/decisions/019 says why.

// The highest bit of each of four cells that the mask leaves open.
static inline uint64_t deepseek_open_lanes(uint64_t word) {
  const uint64_t low = 0x7FFF7FFF7FFF7FFFull;
  const uint64_t open = word ^ 0xFC00FC00FC00FC00ull;  // -inf, four times
  return (((open & low) + low) | open) & ~low;
}

// The first cell from `cell` on that the mask leaves open; near the end one that it may.
static inline int64_t deepseek_open_cell(const ggml_fp16_t* mask, int64_t cell, int64_t end) {
  const uint64_t closed = 0xFC00FC00FC00FC00ull;
  if (mask[cell] != 0xFC00) {
    return cell;
  }
  while (cell + 16 <= end) {
    uint64_t word[4];
    memcpy(word, mask + cell, sizeof(word));
    if ((word[0] ^ closed) | (word[1] ^ closed) | (word[2] ^ closed) | (word[3] ^ closed)) {
      for (int i = 0; i < 4; ++i) {
        const uint64_t open = deepseek_open_lanes(word[i]);
        if (open) {
          return cell + 4 * i + __builtin_ctzll(open) / 16;
        }
      }
    }
    cell += 16;
  }
  return cell;
}

// Up to `most` cells from *next on that the mask leaves open for one of the rows; *next is behind
// the last that was looked at. Without a mask all are open.
static inline int deepseek_open_cells(const char* mask, size_t stride, int rows, int64_t* next,
                                      int64_t end, int most, int64_t* cells) {
  int count = 0;
  if (mask == nullptr) {
    while (count < most && *next < end) {
      cells[count++] = (*next)++;
    }
    return count;
  }
  const uint64_t closed = 0xFC00FC00FC00FC00ull;  // -inf, four times
  while (count < most && *next < end) {
    if (*next % 4 != 0 || *next + 4 > end) {
      bool open = false;
      for (int row = 0; row < rows && !open; ++row) {
        open = ((const ggml_fp16_t*)(mask + row * stride))[*next] != 0xFC00;
      }
      if (open) {
        cells[count++] = *next;
      }
      ++*next;
      continue;
    }
    const int words = *next + 16 <= end ? 4 : 1;
    uint64_t open[4] = {};
    for (int row = 0; row < rows; ++row) {
      uint64_t word[4] = {closed, closed, closed, closed};
      memcpy(word, mask + row * stride + *next * sizeof(ggml_fp16_t), words * sizeof(uint64_t));
      for (int i = 0; i < 4; ++i) {
        open[i] |= word[i] ^ closed;
      }
    }
    int looked = 0;
    for (; looked < 4 * words && count < most; ++looked) {
      if ((open[looked / 4] >> (looked % 4 * 16)) & 0xFFFF) {
        cells[count++] = *next + looked;
      }
    }
    *next += looked;
  }
  return count;
}
