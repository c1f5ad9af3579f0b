// How a thread of llama.cpp waits for the others of its product: first awake, then asleep.
//
// tools/dev/llama_edits.py puts this before the barrier in ggml-cpu.c, so it is compiled there and
// nowhere else. docs/decisions/011 says why.
#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

// Longer than threads with equal shares of a product differ, far shorter than what the kernel gives
// another program that it puts in a thread's place.
#define DEEPSEEK_SPINS 500

static atomic_int deepseek_sleepers;  // of all pools: who wakes too many wakes nobody who minds

static void deepseek_wait(atomic_int * passed, int before) {
    for (int spins = 0; spins < DEEPSEEK_SPINS; ++spins) {
        if (atomic_load_explicit(passed, memory_order_relaxed) != before) {
            return;
        }
        ggml_thread_cpu_relax();
    }
    // Whoever passes last changes `passed` first and then looks for sleepers; the kernel looks at
    // `passed` after this thread has become one. So nobody is left asleep.
    atomic_fetch_add_explicit(&deepseek_sleepers, 1, memory_order_seq_cst);
    while (atomic_load_explicit(passed, memory_order_seq_cst) == before) {
        syscall(SYS_futex, passed, FUTEX_WAIT_PRIVATE, before, NULL, NULL, 0);
    }
    atomic_fetch_sub_explicit(&deepseek_sleepers, 1, memory_order_relaxed);
}

static void deepseek_wake(atomic_int * passed) {
    if (atomic_load_explicit(&deepseek_sleepers, memory_order_seq_cst) > 0) {
        syscall(SYS_futex, passed, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
    }
}
#else
static void deepseek_wait(atomic_int * passed, int before) {
    while (atomic_load_explicit(passed, memory_order_relaxed) == before) {
        ggml_thread_cpu_relax();
    }
}

static void deepseek_wake(atomic_int * passed) {
    (void) passed;
}
#endif

