"""Twenty minutes of everything that an engine does, in little memory; and nothing grows."""

import itertools
import os
import random
import statistics
import threading
import time
from http.client import HTTPException

import pytest

from support import lora
from support.models import default_model
from support.server import NO_QUARANTINE, rss_bytes

SECONDS = float(os.environ.get("DEEPSEEK_SOAK_SECONDS", 20 * 60))
CLIENTS = 12
SAMPLES = 40  # of the engine's memory
GROWTH_MAX = 8 << 20  # bytes: from the second quarter's median to the last quarter's

WORDS = "river stone cloud light paper green quiet seven north bread glass water".split()

pytestmark = [pytest.mark.slow, pytest.mark.timeout(SECONDS + 600)]


def words(dice, count):
    return " ".join(dice.choice(WORDS) for _ in range(count))


def chat(server, dice, content, tokens, **more):
    body = {"tokens_max": tokens, "user": f"user-{dice.randint(0, 5)}", **more}
    answer = server.chat(content, **body)
    assert answer.status in (200, 429), answer.text()


def short(server, dice):
    chat(server, dice, words(dice, dice.randint(1, 20)), dice.randint(1, 32))


def shared_beginning(server, dice):
    beginning = words(random.Random(dice.randint(0, 3)), 150)
    chat(server, dice, f"{beginning}. {words(dice, 5)}", dice.randint(1, 16))


def growing(server, dice):
    """Turns of one conversation, each with all that was said."""
    history = words(dice, 20)
    for _ in range(dice.randint(2, 5)):
        chat(server, dice, history, 12)
        history += " " + words(dice, 15)


def adapted(server, dice):
    chat(server, dice, words(dice, 10), 8, model=dice.choice(["first", "second"]))


def guessed(server, dice):
    chat(server, dice, "Repeat: " + words(dice, 4) * 6, 24, temperature=0)


def seeded(server, dice):
    chat(server, dice, words(dice, 12), 12, seed=dice.randint(0, 9), temperature=1)


def long_prompt(server, dice):
    chat(server, dice, words(dice, dice.randint(300, 600)), 4)


def too_long(server, dice):
    assert server.chat(words(dice, 3000)).status == 400


def left_in_the_middle(server, dice):
    with server.chat_stream(words(dice, 200), tokens_max=400, ignore_eos=True) as stream:
        list(itertools.islice(stream.frames(), dice.randint(0, 6)))


def embedded(server, dice):
    texts = [words(dice, dice.randint(1, 60)) for _ in range(dice.randint(1, 20))]
    answer = server.post("/v1/embeddings", {"model": "base", "input": texts})
    assert answer.status in (200, 429), answer.text()


KINDS = [
    short,
    shared_beginning,
    growing,
    adapted,
    guessed,
    seeded,
    long_prompt,
    too_long,
    left_in_the_middle,
    embedded,
]


def client(server, seed, ends, failures):
    dice = random.Random(seed)
    while time.monotonic() < ends and not failures:
        kind = dice.choice(KINDS)
        try:
            kind(server, dice)
        except (AssertionError, OSError, HTTPException) as error:
            failures.append(f"{kind.__name__}, seed {seed}: {error!r}")


def configuration(folder):
    for seed, name in enumerate(("first", "second")):
        lora.write(folder / f"{name}.gguf", seed)
    file = folder / "soak.yaml"
    file.write_text(
        "models:\n"
        f"  - name: base\n    path: {default_model()}\n"
        "    context_max: 1024\n    embeddings: true\n"
        "    adapters: {first: first.gguf, second: second.gguf}\n"
        "engine:\n  sequences_max: 8\n  cache_memory: 16MB\n"
        f"  cache_dir: {folder}/prefixes\n  cache_dir_size: 32MB\n"
        "memory: {max_cache_size: 48MB}\n",
        "utf-8",
    )
    return file


def test_nothing_grows_in_the_engine(start_server, tmp_path):
    server = start_server("--config", configuration(tmp_path), extra_environment=NO_QUARANTINE)
    engine = server.engine_pid()
    ends, failures, memory = time.monotonic() + SECONDS, [], []
    threads = [
        threading.Thread(target=client, args=(server, seed, ends, failures))
        for seed in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    for sample in range(SAMPLES):
        due = ends - SECONDS + SECONDS * (sample + 1) / SAMPLES
        threads[0].join(max(0.0, due - time.monotonic()))
        memory.append(rss_bytes(engine))
    for thread in threads:
        thread.join()
    assert failures == []
    assert server.engine_pid() == engine, "the engine was started again"
    second = statistics.median(memory[SAMPLES // 4 : SAMPLES // 2])
    last = statistics.median(memory[3 * SAMPLES // 4 :])
    print(f"engine: {second / 1e6:.1f} MB in the second quarter, {last / 1e6:.1f} MB in the last")
    assert last - second <= GROWTH_MAX, [round(bytes_ / 1e6, 1) for bytes_ in memory]
    metrics = server.metrics()
    for name in ("deepseek_engine_evicted_cells_total", "deepseek_engine_prefix_reads_total"):
        assert metrics.value(name) > 0, f"{name}: the soak was too easy"
    server.wait_metric("deepseek_running_sequences", 0)
    server.wait_metric("deepseek_waiting_requests", 0)
    assert server.stop() == 0
