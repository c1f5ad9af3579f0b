"""What is measured of ours alone: memory, failover and the response cache."""

import contextlib
import itertools
import statistics
import threading
import time

from gateway import figures, peers, processes
from gateway.figures import Row
from gateway.traffic import BenchError, Upstream, good_load, load

MEGABYTE = 1024 * 1024
IDLE_MB_MAX = 40
GROWTH_MB_MAX = 1.0  # allocators keep a page more or less; what leaks is more than that
SAMPLE_SECONDS = 0.5
KNOWN_DEAD_MS_MAX = 1.0
CONNECT_TIMEOUT_MS = 5000  # our default
FAILOVER_SAMPLES = 5
FAILOVER_FRAMES = 4
CACHE_HIT_US_MAX = 100
ZIPF_KEYS, ZIPF_EXPONENT, ZIPF_SEED = 20_000, 1.0, 5


@contextlib.contextmanager
def _started(bench, *arguments, **options):
    target = peers.ours(bench.place, *arguments, **options)
    try:
        yield target
    finally:
        target.stop()


class _Sampler:
    """The memory of a process over time."""

    def __init__(self, pid):
        self.sizes = []
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._over.wait(SAMPLE_SECONDS):
            self.sizes.append(processes.memory_bytes(self._pid))

    def stop(self):
        self._over.set()
        self._thread.join()


def _soak(bench, target):
    """Small chats, large prompts and streams in turn, for as long as the options say."""
    kinds = (
        ("closed", {"connections": 32, "seconds": 3}),
        ("closed", {"connections": 16, "seconds": 2, "body_bytes": 102_400}),
        ("streams", {"connections": 256, "seconds": 20, "frames": 64, "ramp_ms": 200}),
    )
    end = time.monotonic() + bench.soak_minutes * 60
    for mode, flags in itertools.cycle(kinds):
        good_load(bench.place, target, mode, **flags)
        if time.monotonic() >= end:
            return


def memory(bench):
    """Idle, and how it grows under small chats, large prompts and streams in turn."""
    with _started(bench, [bench.upstream.port]) as target:
        idle = processes.memory_bytes(target.pid)
        sampler = _Sampler(target.pid)
        try:
            _soak(bench, target)
        finally:
            sampler.stop()
        grown = figures.growth(sampler.sizes) / MEGABYTE
        most = max(sampler.sizes, default=idle) / MEGABYTE
    idle /= MEGABYTE
    minutes = f"{bench.soak_minutes:g} minutes of load"
    return [
        Row(
            "memory of the gateway process, idle",
            f"{idle:.1f} MB",
            f"≤ {IDLE_MB_MAX} MB",
            idle <= IDLE_MB_MAX,
        ),
        Row(f"memory at most during {minutes}", f"{most:.1f} MB"),
        Row(
            f"growth of memory over {minutes}",
            f"{grown:.2f} MB",
            f"0 (under {GROWTH_MB_MAX:g} MB is noise)",
            grown < GROWTH_MB_MAX,
        ),
    ]


def failover(bench):
    """Time to first token when the first backend has just died, and once that is known."""
    just, known = [], []
    for _ in range(1 if bench.quick else FAILOVER_SAMPLES):
        flags = {"frames": FAILOVER_FRAMES, "pace_us": 1000}
        first, second = Upstream(bench.place, **flags), Upstream(bench.place, **flags)
        try:
            with _started(bench, [first.port, second.port]) as target:
                base = _first_token_ms(bench, target, 50, "p50")
                first.kill()
                just.append(_first_token_ms(bench, target, 1, "max") - base)
                _first_token_ms(bench, target, 30, "p50")
                known.append(_first_token_ms(bench, target, 50, "p50") - base)
        finally:
            first.kill()
            second.stop()
    return [
        Row(
            "failover: added time to first token, backend known dead",
            figures.spread(known, " ms"),
            f"≤ {KNOWN_DEAD_MS_MAX:g} ms",
            statistics.median(known) <= KNOWN_DEAD_MS_MAX,
        ),
        Row(
            "failover: added time to first token, backend just died",
            figures.spread(just, " ms"),
            f"≤ {CONNECT_TIMEOUT_MS} ms (connect time-out)",
            max(just) <= CONNECT_TIMEOUT_MS,
        ),
    ]


def _first_token_ms(bench, target, count, share):
    result = load(bench.place, target, "streams", frames=FAILOVER_FRAMES, repeat=count, seconds=30)
    if result["streams_whole"] != count:
        raise BenchError(f"a stream was lost in a failover: {result['first_error']}")
    return result["first_frame"][share] / 1000


def cache(bench):
    """How fast a hit is, and how many hits skewed questions give."""
    reason = peers.why_not_ours(bench.place, cache=True)
    if reason:
        return [Row("cache hit", f"skipped: {reason}", f"≤ {CACHE_HIT_US_MAX} µs")]
    upstream = Upstream(bench.place)
    try:
        with _started(bench, [upstream.port], cache=True) as target:
            good_load(bench.place, target, "closed", seconds=0.2)
            before = upstream.requests()
            hit = good_load(bench.place, target, "closed", seconds=bench.seconds)
            asked = upstream.requests() - before
            before = upstream.requests()
            zipf = good_load(
                bench.place,
                target,
                "closed",
                connections=8,
                seconds=bench.seconds,
                zipf_keys=ZIPF_KEYS,
                zipf_exponent=ZIPF_EXPONENT,
                seed=ZIPF_SEED,
            )
            answered = zipf["answered"] + zipf["unfinished"]
            rate, best = figures.hit_rates(
                answered, upstream.requests() - before, zipf["distinct_keys"]
            )
    finally:
        upstream.stop()
    middle = hit["latency"]["p50"]
    row = Row(
        "cache hit, one connection, p50",
        f"{middle:.0f} µs",
        f"≤ {CACHE_HIT_US_MAX} µs",
        middle <= CACHE_HIT_US_MAX,
    )
    if asked:
        row = Row(row.figure, f"no hits: the upstream was asked {asked} times", row.target, False)
    return [
        row,
        Row(
            f"cache: hit rate, Zipf {ZIPF_EXPONENT:g} over {ZIPF_KEYS:,} keys",
            f"{rate:.1%} of {answered:,} requests; best possible {best:.1%}",
        ),
    ]
