"""What the engine's scheduler gives to clients: shared prefixes, fairness, room for everybody."""

import concurrent.futures
import pathlib
import threading

import openai

from support import http
from support.waiting import wait_until

PREFIX = "The harbour lies in the north and the ships are old. " * 30
CELL_BYTES = 23040  # of the small model, in f16


def sdk(server, key="sk-none-0001"):
    return openai.OpenAI(base_url=server.url + "/v1", api_key=key, max_retries=0, timeout=300)


def complete(client, prompt, tokens=8, **more):
    return client.completions.create(
        model="smollm2-135m-instruct",
        prompt=prompt,
        max_tokens=tokens,
        temperature=0,
        extra_body={"ignore_eos": True},
        **more,
    )


def cached(answer):
    return answer.usage.prompt_tokens_details.cached_tokens


def at_once(calls):
    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def test_a_prefix_is_read_once_and_usage_says_so(start_server):
    server = start_server()
    client = sdk(server)
    first = complete(client, PREFIX + "First question:")
    second = complete(client, PREFIX + "Second question:")
    assert cached(first) == 0
    assert cached(second) >= first.usage.prompt_tokens - 20
    both = at_once(
        [lambda n=n: complete(client, "Once " + PREFIX + f"Question {n}:") for n in range(4)]
    )
    together = sorted(cached(answer) for answer in both)
    assert together[0] == 0
    assert together[1] >= first.usage.prompt_tokens - 20


def test_users_share_nothing_unless_they_may(start_server):
    for sharing, shared in (("user", False), ("tenant", True)):
        server = start_server(settings={"engine.prefix_sharing": sharing})
        client = sdk(server)
        complete(client, PREFIX, user="anna")
        assert (cached(complete(client, PREFIX, user="bert")) > 0) == shared
        assert cached(complete(client, PREFIX, user="anna")) > 0
        assert server.stop() == 0


def test_a_flood_of_one_tenant_hardly_delays_another(start_server, tmp_path):
    file = pathlib.Path(tmp_path) / "tenants.yaml"
    file.write_text(
        "access:\n"
        "  keys:\n"
        "    - {key: sk-flood-0001, tenant: flood}\n"
        "    - {key: sk-other-0001, tenant: other}\n",
        "utf-8",
    )
    server = start_server(
        "--config", file, settings={"engine.sequences_max": 4, "engine.priority_queue_size": 100}
    )
    ended = []

    def flood(number):
        complete(sdk(server, "sk-flood-0001"), f"{number} is a number that", 48)
        ended.append(number)

    threads = [threading.Thread(target=flood, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    while not ended:  # the flood is in full flow
        threads[0].join(0.05)
    before = len(ended)
    complete(sdk(server, "sk-other-0001"), "The other tenant asks", 8)
    after = len(ended)
    for thread in threads:
        thread.join()
    # Behind the flood it would have waited for nearly all of them.
    assert after - before <= 6
    assert sorted(ended) == list(range(24))


def test_want_of_room_fails_nobody_and_changes_no_text(start_server):
    settings = {"memory.max_cache_size": f"{CELL_BYTES * 1024}B", "models[0].context_max": 1024}
    server = start_server(settings=settings)
    client = sdk(server)
    prompts = [f"{number} of the stories about the sea begins like this:" for number in range(8)]
    alone = [complete(client, prompt, 12).choices[0].text for prompt in prompts]
    # Eight times 220 tokens do not fit in 1,024 cells.
    answers = at_once([lambda p=p: complete(client, p, 210) for p in prompts])
    for answer, text in zip(answers, alone, strict=True):
        assert answer.usage.completion_tokens == 210
        assert answer.choices[0].text[:12] == text[:12]


def test_what_lost_its_cells_comes_back_from_memory(start_server):
    pool = {"memory.max_cache_size": f"{CELL_BYTES * 1024}B", "models[0].context_max": 1024}
    for memory, comes_back in (("100MB", True), ("0B", False)):
        server = start_server(settings={**pool, "engine.cache_memory": memory})
        client = sdk(server)
        first = complete(client, PREFIX + "A question:")
        complete(client, "Something else. " + PREFIX + PREFIX)
        again = complete(client, PREFIX + "A question:")
        # One token alone rounds differently than at the end of its prompt: only near-ties tell.
        assert again.choices[0].text[:12] == first.choices[0].text[:12]
        assert (cached(again) >= first.usage.prompt_tokens - 20) == comes_back
        back = server.metrics().value("deepseek_engine_prefix_reads_total", place="memory")
        assert (back > 0) == comes_back
        assert server.stop() == 0


def test_guesses_are_made_and_change_no_text(start_server):
    texts = []
    for speculation in ("none", "prompt_lookup"):
        server = start_server(settings={"engine.speculation": speculation})
        answer = complete(sdk(server), "one two three four, " * 8 + "one two", 60)
        texts.append(answer.choices[0].text)
        assert answer.usage.completion_tokens == 60
        right = server.metrics().value("deepseek_engine_draft_tokens_total", result="right")
        assert (right > 0) == (speculation == "prompt_lookup")
        assert server.stop() == 0
    # Several tokens at a time round differently, which shows only where two are nearly as likely.
    assert texts[0][:40] == texts[1][:40]


def test_stored_prefixes_survive_a_restart_and_damage(start_server, tmp_path):
    folder = tmp_path / "prefixes"
    settings = {"engine.cache_dir": folder}

    def run():
        server = start_server(settings=settings)
        answer = complete(sdk(server), PREFIX + "A question:")
        assert server.stop() == 0
        return answer

    first, second = run(), run()
    assert cached(first) == 0
    assert cached(second) >= first.usage.prompt_tokens - 20
    assert second.choices[0].text[:12] == first.choices[0].text[:12]
    files = list(folder.rglob("*.prefix"))
    assert files
    for file in files:
        assert file.stat().st_mode & 0o077 == 0
        with file.open("r+b") as damaged:
            damaged.seek(-1000, 2)
            damaged.write(b"damage")
    third = run()
    assert cached(third) == 0
    assert third.choices[0].text == first.choices[0].text


def test_a_batch_is_gathered_when_it_is_asked_for(start_server):
    server = start_server(settings={"engine.min_batch_size": 4, "engine.batch_wait": "200ms"})
    answers = at_once([lambda n=n: complete(sdk(server), f"{n} and", 4) for n in range(4)])
    assert all(answer.usage.completion_tokens == 4 for answer in answers)
    alone = complete(sdk(server), "and", 4)
    assert alone.usage.completion_tokens == 4


def test_operators_see_every_sequence(start_server):
    server = start_server(settings={"engine.sequences_max": 1})
    client = sdk(server)

    def engine():
        answer = http.request(server.metrics_url, "GET", "/admin/engine")
        assert answer.status == 200
        return answer.json()["engines"][0]

    threads = [
        threading.Thread(target=complete, args=(client, f"{n} and", 200), kwargs={"user": f"u{n}"})
        for n in range(2)
    ]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(engine()["sequences"]) == 2, "both sequences are shown")
    running, waiting = engine()["sequences"]
    assert running["state"] in ("reading", "generating")
    assert waiting["state"] == "waiting"
    assert {running["user"], waiting["user"]} == {"u0", "u1"}
    assert running["tenant"] == "default"
    assert running["prompt_tokens"] > 0 and running["age_ms"] >= 0
    for thread in threads:
        thread.join()
    wait_until(lambda: engine()["sequences"] == [], "none is shown")
    assert engine()["kv_cells"]["resting"] > 0
    assert 0 <= engine()["memory_fragmentation"] < 1
