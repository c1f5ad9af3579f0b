"""The measures that ours shares with its peers. Each returns rows of the table."""

import collections

from gateway import figures, peers, processes
from gateway.figures import Goal, Row
from gateway.traffic import BenchError, Upstream, good_load, load

CONNECTIONS = 32
WARM_SECONDS = 0.3
# Below this a difference of two latencies is noise of the machine.
FLOOR_US = 5.0
FLOOR_STREAM_US = 50.0
RATE_CONNECTIONS = 128
RATE_STEPS = 40
RATE_LIMITS_MS = (1, 5, 10)
STREAMS, FRAMES, PACE_MS, STREAMS_EACH = 512, 64, 20, 2
PROMPT_BYTES, PROMPT_CONNECTIONS = 102_400, 16
# Three upstreams that do one thing at a time, and arrivals at 70 % of what they can do together.
SERVICE_MS, WEIGHTS, WEIGHTED_LOAD, WEIGHTED_SEED = (10, 20, 40), (4, 2, 1), 0.7, 11
DEVIATION_MS_MAX = 85


class Bench:
    """What all measures need: where they run, how long, the upstream, and who is measured."""

    def __init__(self, place, options, say):
        self.place = place
        self.seconds = options.seconds
        self.rounds = options.rounds
        self.quick = options.quick
        self.soak_minutes = options.soak
        self.say = say
        self.upstream = Upstream(place, frames=FRAMES, pace_us=PACE_MS * 1000)
        self.direct = peers.Target("direct", self.upstream.port)
        self.targets = {}  # name: Target; the proxies in front of `upstream`

    def alternate(self, names, rounds, measure):
        """{name: [result of each round]}; a target that fails is left out from then on."""
        found = {name: [] for name in names}
        for name in figures.turns(names, rounds):
            if name not in found:
                continue
            target = self.direct if name == "direct" else self.targets[name]
            try:
                found[name].append(measure(target))
            except BenchError as error:
                self.say(f"{name} is left out of this measure: {error}")
                del found[name]
        return found

    def present(self, *names):
        return [name for name in names if name == "direct" or name in self.targets]

    def stop(self):
        for target in self.targets.values():
            target.stop()
        self.upstream.stop()


def _column(found, key):
    return {name: [result[key] for result in results] for name, results in found.items()}


def _added(found, kind, share):
    """Microseconds above the direct way, round by round."""
    base = [result[kind][share] for result in found["direct"]]
    return {
        name: [result[kind][share] - low for result, low in zip(results, base, strict=True)]
        for name, results in found.items()
        if name != "direct"
    }


def _closed(bench):
    def measure(target):
        before = processes.cpu_seconds(target.pid) if target.process else 0
        result = good_load(
            bench.place,
            target,
            "closed",
            connections=CONNECTIONS,
            seconds=bench.seconds,
            warm_seconds=WARM_SECONDS,
        )
        after = processes.cpu_seconds(target.pid) if target.process else 0
        return {"rps": result["rps"], "cpu_us": (after - before) / result["answered"] * 1e6}

    return measure


def throughput(bench):
    """Requests a second, and CPU time of the proxy, with small chats on 32 connections."""
    names = bench.present("direct", "nginx", "haproxy", "envoy", "ours")
    found = bench.alternate(names, bench.rounds, _closed(bench))
    cpu = _column(found, "cpu_us")
    cpu.pop("direct", None)
    return [
        *figures.compare(
            "CPU time per request",
            cpu,
            [Goal(0.6, "envoy", word="must"), Goal(1.2, "haproxy")],
            "µs",
        ),
        *figures.compare(
            "requests/s, one worker thread",
            _column(found, "rps"),
            [
                Goal(1.8, "envoy", at_most=False, word="must"),
                Goal(0.9, "haproxy", at_most=False),
                Goal(0.9, "nginx", at_most=False),
            ],
        ),
    ]


def slow_peers(bench):
    """Gateways of the same trade, which are far away."""
    names = bench.present("portkey", "litellm", "ours")
    found = bench.alternate(names, max(1, bench.rounds // 2), _closed(bench))
    return [
        *figures.compare(
            "requests/s beside other gateways",
            _column(found, "rps"),
            [Goal(30, "portkey", at_most=False), Goal(200, "litellm", at_most=False)],
        ),
        *figures.compare("CPU time per request beside them", _column(found, "cpu_us"), [], "µs"),
    ]


def latency(bench):
    """What a proxy adds to one request after the other."""

    def measure(target):
        return good_load(
            bench.place, target, "closed", seconds=bench.seconds, warm_seconds=WARM_SECONDS
        )

    names = bench.present("direct", "nginx", "haproxy", "envoy", "ours")
    found = bench.alternate(names, bench.rounds, measure)
    rows = []
    for share in ("p50", "p99"):
        added = _added(found, "latency", share)
        goals = [Goal(1.2, "nginx")]
        rows += figures.compare(f"added {share}, one connection", added, goals, "µs", FLOOR_US)
    return rows


def rate(bench):
    """The highest constant rate at which 99 % of the requests are answered in time."""
    seconds = min(bench.seconds, 1.5)

    def measure(target):
        top = good_load(bench.place, target, "closed", connections=CONNECTIONS, seconds=0.7)["rps"]
        steps = [top * 1.1 * step / RATE_STEPS for step in range(1, RATE_STEPS + 1)]
        known = collections.defaultdict(list)

        def fits(step, limit):
            for p99 in known[step]:
                if p99 <= limit:
                    return True
            if len(known[step]) < 2:  # two chances, whichever limit asks
                known[step].append(_p99_ms(bench, target, step, seconds))
                return known[step][-1] <= limit
            return False

        return {
            limit: figures.highest(steps, lambda step, limit=limit: fits(step, limit))
            for limit in RATE_LIMITS_MS
        }

    names = bench.present("nginx", "haproxy", "envoy", "ours")
    found = bench.alternate(names, max(1, (bench.rounds + 1) // 2), measure)
    rows = []
    for limit in RATE_LIMITS_MS:
        goals = [Goal(1.5, "envoy", at_most=False)]
        rows += figures.compare(
            f"highest rate with p99 ≤ {limit} ms", _column(found, limit), goals, "requests/s"
        )
    return rows


def _p99_ms(bench, target, rate_wanted, seconds):
    result = load(
        bench.place,
        target,
        "open",
        rate=f"{rate_wanted:.0f}",
        connections=RATE_CONNECTIONS,
        seconds=seconds,
        warm_seconds=0.2,
    )
    if result["overloaded"] or result["errors"] or result["unfinished"]:
        return float("inf")
    return result["latency"]["p99"] / 1000


def streams(bench):
    """Many slow streams at a time: is every frame there, and how late."""
    lost = {}

    def measure(target):
        length = FRAMES * PACE_MS
        result = load(
            bench.place,
            target,
            "streams",
            connections=STREAMS,
            frames=FRAMES,
            repeat=STREAMS_EACH,
            ramp_ms=length,
            seconds=length * (STREAMS_EACH + 1) / 1000 + 15,
        )
        missing = result["frames_due"] - result["frames"]
        broken = STREAMS * STREAMS_EACH - result["streams_whole"]
        lost.setdefault(target.name, []).append((missing, broken))
        if broken:
            bench.say(f"{target.name}: {broken} broken streams: {result['first_error']}")
        return result

    names = bench.present("direct", "nginx", "haproxy", "envoy", "ours")
    found = bench.alternate(names, max(1, (bench.rounds + 1) // 2), measure)
    title = f"{STREAMS} streams × {FRAMES} frames paced {PACE_MS} ms"
    told = "; ".join(
        f"{name} {sum(frames for frames, _ in counts)} frames, {sum(bad for _, bad in counts)} "
        "streams"
        for name, counts in lost.items()
    )
    passed = all(count == (0, 0) for count in lost["ours"]) if "ours" in lost else None
    rows = [Row(f"{title}: lost", told, "0", passed)]
    for figure, kind, goal in (
        ("added time to first token p99", "first_frame", Goal(1, "nginx")),
        ("added gap p99", "gap", Goal(1.2, "nginx")),
        ("added p99 of a frame's way", "transit", None),
    ):
        added = _added(found, kind, "p99")
        goals = [goal] if goal else []
        rows += figures.compare(f"streams: {figure}", added, goals, "µs", FLOOR_STREAM_US)
    return rows


def prompts(bench):
    """Bodies of 100 KB, which a gateway has to read and to understand."""

    def measure(target):
        return good_load(
            bench.place,
            target,
            "closed",
            connections=PROMPT_CONNECTIONS,
            body_bytes=PROMPT_BYTES,
            seconds=bench.seconds,
            warm_seconds=WARM_SECONDS,
        )

    names = bench.present("direct", "nginx", "haproxy", "envoy", "ours")
    found = bench.alternate(names, bench.rounds, measure)
    goals = [Goal(1.0, "envoy", at_most=False)]
    return figures.compare("requests/s with 100 KB prompts", _column(found, "rps"), goals)


def weighted(bench):
    """Weighted round robin over three upstreams of different speed, with the same arrivals."""
    place = bench.place
    upstreams = [Upstream(place, delay_us=ms * 1000, serial=1) for ms in SERVICE_MS]
    ports = [upstream.port for upstream in upstreams]
    rate_wanted = WEIGHTED_LOAD * sum(1000 / ms for ms in SERVICE_MS)
    makers = {"nginx": peers.nginx, "haproxy": peers.haproxy, "ours": peers.ours}
    started = {}
    seconds = 5 if bench.quick else 20

    def measure(name):
        result = good_load(
            place,
            started[name],
            "open",
            rate=f"{rate_wanted:.2f}",
            seed=WEIGHTED_SEED,
            connections=256,
            seconds=seconds,
        )
        return result["latency"]["stddev"] / 1000

    found = {}
    try:
        for name in bench.present(*makers):
            started[name] = makers[name](place, ports, WEIGHTS)
        for name in figures.turns(list(started), 1 if bench.quick else 3):
            found.setdefault(name, []).append(measure(name))
    finally:
        for target in started.values():
            target.stop()
        for upstream in upstreams:
            upstream.stop()
    figure = "weighted round robin: deviation of response time"
    rows = figures.compare(figure, found, [Goal(1, "haproxy")], "ms")
    mine = found.get("ours")
    target_text = f"≤ {DEVIATION_MS_MAX} ms"
    if mine:
        rows.append(
            Row(figure, figures.spread(mine, " ms"), target_text, max(mine) <= DEVIATION_MS_MAX)
        )
    return rows
