"""LoRA adapters by a request's model: several in flight, listed, refused where they cannot be."""

import concurrent.futures

import pytest

from support import lora
from support.models import default_model

QUESTION = "Write one sentence about the sea."


@pytest.fixture
def adapted(start_server, tmp_path):
    """A server whose model `base` has the adapters `first` and `second`."""
    for seed, name in enumerate(("first", "second")):
        lora.write(tmp_path / f"{name}.gguf", seed)
    file = tmp_path / "adapters.yaml"
    file.write_text(
        "models:\n"
        f"  - name: base\n    path: {default_model()}\n    context_max: 2048\n"
        "    adapters: {first: first.gguf, second: second.gguf}\n"
        "aliases: {favourite: second}\n",
        "utf-8",
    )
    return start_server("--config", file)


def answer(server, model):
    told = server.chat(QUESTION, 24, model=model, temperature=0, logprobs=True)
    assert told.status == 200, told.text()
    choice = told.json()["choices"][0]
    return [entry["logprob"] for entry in choice["logprobs"]["content"]]


def alike(one, other):
    """Of the first tokens; later ones may hang on the company's rounding."""
    return one[:4] == pytest.approx(other[:4], abs=0.15)


def test_each_answers_in_its_own_way_alone_and_together(adapted):
    names = ("base", "first", "second")
    alone = {name: answer(adapted, name) for name in names}
    assert not alike(alone["base"], alone["first"])
    assert not alike(alone["base"], alone["second"])
    assert not alike(alone["first"], alone["second"])
    asked = list(names) * 4
    with concurrent.futures.ThreadPoolExecutor(len(asked)) as pool:
        together = list(pool.map(lambda name: answer(adapted, name), asked))
    for name, told in zip(asked, together, strict=True):
        assert alike(told, alone[name]), name


def test_they_are_listed_and_have_aliases(adapted):
    listed = {model["id"] for model in adapted.get("/v1/models").json()["data"]}
    assert {"base", "first", "second", "favourite"} <= listed
    assert alike(answer(adapted, "favourite"), answer(adapted, "second"))
    assert len(adapted.children()) == 1, "one engine for all"


def test_an_adapter_embeds_nothing(adapted):
    refused = adapted.post("/v1/embeddings", {"model": "first", "input": "Hi"})
    assert refused.status == 400
    assert '"base"' in refused.json()["error"]["message"]


def test_a_file_that_does_not_fit_is_named(start_server, tmp_path):
    lora.write(tmp_path / "wrong.gguf", 1, embedding=64)
    file = tmp_path / "wrong.yaml"
    file.write_text(
        f"models:\n  - {{name: base, path: {default_model()}, adapters: {{odd: wrong.gguf}}}}\n",
        "utf-8",
    )
    server = start_server("--config", file, wait="listening")
    refused = server.chat(model="base")
    assert refused.status == 503
    message = refused.json()["error"]["message"]
    assert "odd" in message and "wrong.gguf" in message, message
