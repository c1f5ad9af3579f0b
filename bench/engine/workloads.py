"""The workloads: each runs once against one server and returns its figures.

`seed` is another one in every round, so that no prompt was ever seen before. Figures are named; of
each, either more or less is better, which the table of engine.py says.
"""

import threading
import time

from engine.client import ask, together, words

TOKENS = 64


class WorkloadError(Exception):
    pass


def _checked(answers):
    for answer in answers:
        if answer.error:
            raise WorkloadError(answer.error)
    return answers


def _rate(answers):
    begun, ended = min(a.begun for a in answers), max(a.ended for a in answers)
    return sum(a.tokens for a in answers) / (ended - begun)


def decode(server, seed):
    """One stream."""
    answer = _checked([ask(server.url, words(20, seed), 192)])[0]
    return {"tokens/s": (answer.tokens - 1) / (answer.ended - answer.first)}


def prefill(server, seed):
    """A prompt of about 512 tokens that was never seen before, and one token."""
    answer = _checked([ask(server.url, words(390, seed), 1)])[0]
    return {"tokens/s": answer.prompt_tokens / (answer.first - answer.begun)}


def decode_streams(server, seed):
    """16 streams with short prompts, while all of them generate."""
    calls = [lambda n=n: ask(server.url, words(5, seed * 100 + n), 192) for n in range(16)]
    answers = _checked(together(calls))
    begun, ended = max(a.first for a in answers), min(a.ended for a in answers)
    tokens = sum(a.tokens * (ended - begun) / (a.ended - a.first) for a in answers)
    return {"tokens/s": tokens / (ended - begun)}


def own_prompts(server, seed):
    """16 at once, each with 100 words of its own."""
    calls = [
        lambda n=n: ask(server.url, words(100, seed * 100 + n), TOKENS) for n in range(16)
    ]
    return {"tokens/s": _rate(_checked(together(calls)))}


def common_prefix(server, seed):
    """16 at once that begin with the same 500 tokens."""
    prefix = words(380, seed)
    calls = [
        lambda n=n: ask(server.url, f"{prefix}\nQuestion {n}: {words(8, n)}", TOKENS)
        for n in range(16)
    ]
    return {"tokens/s": _rate(_checked(together(calls)))}


def agents(server, seed):
    """8 agents of 10 turns; each turn has the whole history in front."""

    def agent(number):
        history, answers = f"Agent {words(60, seed * 100 + number)}\n", []
        for turn in range(10):
            history += f"Turn {turn}: {words(30, seed * 1000 + number * 10 + turn)}\n"
            answers.append(ask(server.url, history, 32))
            history += answers[-1].text + "\n"
        return answers

    answers = [a for one in together([lambda n=n: agent(n) for n in range(8)]) for a in one]
    return {"tokens/s": _rate(_checked(answers))}


def long_prompt(server, seed):
    """4 streams while a prompt of about 6,000 tokens arrives."""
    running = [threading.Event() for _ in range(4)]
    results = [None] * 4

    def stream(number):
        running[number].set()
        results[number] = ask(server.url, words(20, seed * 100 + number), 400)

    threads = [threading.Thread(target=stream, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for event in running:
        event.wait()
    time.sleep(1.0)  # part of the workload: the streams are in full flow when the prompt comes
    long = ask(server.url, words(4600, seed), 4)
    for thread in threads:
        thread.join()
    _checked([*results, long])
    return {"worst gap, s": max(a.gap_max for a in results), "long prompt, s": long.first_token}


def tenants(server, seed):
    """A sends 50 requests at once, B one, a second later."""
    flood = [
        threading.Thread(
            target=ask,
            args=(server.url, words(100, seed * 100 + number), TOKENS),
            kwargs={"key": server.keys[0]},
        )
        for number in range(50)
    ]
    for thread in flood:
        thread.start()
    time.sleep(1.0)  # part of the workload
    answer = ask(server.url, words(100, seed * 100 + 99), TOKENS, key=server.keys[1])
    for thread in flood:
        thread.join()
    return {"first token, s": _checked([answer])[0].first_token}


def exhausted(server, seed):
    """16 at once that need three times the cells there are."""
    calls = [
        lambda n=n: ask(server.url, words(300, seed * 100 + n), 200) for n in range(16)
    ]
    answers = together(calls)
    failed = sum(1 for a in answers if a.error or a.tokens < 200)
    return {"failed": failed, "tokens/s": _rate(answers)}


def clients(count):
    def run(server, seed):
        def client(number):
            return [
                ask(server.url, words(20, seed * 1000 + number * 10 + turn), TOKENS)
                for turn in range(3)
            ]

        turns = together([lambda n=n: client(n) for n in range(count)])
        answers = [answer for one in turns for answer in one]
        begun, ended = min(a.begun for a in answers), max(a.ended for a in answers)
        return {"answers/s": len(_checked(answers)) / (ended - begun)}

    run.__doc__ = f"{count} clients, one request after another."
    return run


def arrivals(server, seed, rate, seconds=15.0):
    """Open loop at `rate` requests/s: the share with first token ≤ 2 s and gaps ≤ 150 ms."""
    answers, lock, threads = [], threading.Lock(), []

    def one(number):
        length = (20, 60, 150, 400)[number % 4]
        answer = ask(server.url, words(length, seed * 1000 + number), (16, 48, 96)[number % 3])
        with lock:
            answers.append(answer)

    begun = time.perf_counter()
    for number in range(int(rate * seconds)):
        left = begun + number / rate - time.perf_counter()
        if left > 0:
            time.sleep(left)
        threads.append(threading.Thread(target=one, args=(number,)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    good = [a for a in answers if not a.error and a.first_token <= 2.0 and a.gap_max <= 0.150]
    return len(good) / max(1, len(answers))


def highest_rate(server, seed):
    """The highest rate of arrivals at which 95 % are served in time."""
    low, high = 0.0, 0.5
    while high < 64 and arrivals(server, seed, high) >= 0.95:
        low, high, seed = high, high * 2, seed + 1
    for _ in range(3):
        middle = (low + high) / 2
        seed += 1
        if arrivals(server, seed, middle) >= 0.95:
            low = middle
        else:
            high = middle
    return {"requests/s": low}

