"""A model of DeepSeek's shape: latent attention and experts. Its weights are random; its text says
nothing, but it is the same text alone, in company and from shared prefixes."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from support import mla_model
from support.models import default_model

SHARED = "The committee met on Monday and wrote down what it had found. " * 12
# In log probability: another company rounds differently, and where two experts are as good as tied,
# another one may be asked. What reads others' cells is off by more.
NEAR_TIE = 0.4


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shape")
    return mla_model.write(folder / "deepseek-shape.gguf", default_model())


@pytest.fixture
def server(start_server, tmp_path, model):
    file = tmp_path / "shape.yaml"
    file.write_text(
        f"models:\n  - {{name: shape, path: {model}, context_max: 2048}}\n"
        "memory: {max_cache_size: 64MB}\n",
        "utf-8",
    )
    return start_server("--config", file)


def answer(server, number):
    told = server.chat(
        f"{SHARED} Question {number}: what follows?", 24,
        temperature=0, ignore_eos=True, logprobs=True, top_logprobs=2,
    )  # fmt: skip
    assert told.status == 200, told.text()
    body = told.json()
    return body["choices"][0]["logprobs"]["content"], body["usage"]


def same_up_to_a_near_tie(left, right):
    assert len(left) == len(right) == 24
    for place, (one, other) in enumerate(zip(left, right, strict=True)):
        if one["token"] != other["token"]:
            best, second = (choice["logprob"] for choice in one["top_logprobs"])
            assert best - second < NEAR_TIE, f"token {place} differs without a near tie"
            return
        assert abs(one["logprob"] - other["logprob"]) < NEAR_TIE, f"token {place}"


def test_in_company_and_from_a_shared_prefix_the_answer_is_the_same(server):
    alone = [answer(server, number)[0] for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda number: answer(server, number), range(6)))
    for one, (other, usage) in zip(alone, together, strict=True):
        same_up_to_a_near_tie(one, other)
        assert usage["prompt_tokens_details"]["cached_tokens"] > 100


def test_the_pool_is_as_large_as_its_latent_rows_allow(server):
    bytes_of_cell = mla_model.Shape().cell_bytes
    cells = server.metrics().value("deepseek_kv_cells", state="total")
    assert cells * bytes_of_cell <= 64 * 1024**2 < (cells + 512) * bytes_of_cell
