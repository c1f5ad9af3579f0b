"""A draft model guesses; what is said stays the same."""

import pytest

from support.models import default_model

QUESTION = "Tell me a story about a lighthouse."


@pytest.fixture
def start(start_server, tmp_path):
    """Starts a server with more lines for its only model."""

    def started(name, lines):
        file = tmp_path / f"{name}.yaml"
        file.write_text(
            f"models:\n  - name: base\n    path: {default_model()}\n    context_max: 1024\n{lines}",
            "utf-8",
        )
        return start_server("--config", file)

    return started


def answer(server):
    told = server.chat(QUESTION, 40, temperature=0, ignore_eos=True, logprobs=True, top_logprobs=2)
    assert told.status == 200
    return told.json()["choices"][0]["logprobs"]["content"]


def test_the_answer_is_the_same_and_guesses_are_right(start):
    plain = answer(start("plain", ""))
    server = start("drafted", f"    draft_path: {default_model()}\n")
    drafted = answer(server)
    assert len(plain) == len(drafted) == 40
    for place, (left, right) in enumerate(zip(plain, drafted, strict=True)):
        if left["token"] != right["token"]:
            lead = left["top_logprobs"][0]["logprob"] - left["top_logprobs"][1]["logprob"]
            assert lead < 0.15, f"token {place} differs without a near tie"
            break
    metrics = server.metrics()
    right = metrics.value("deepseek_engine_draft_tokens_total", result="right")
    wrong = metrics.value("deepseek_engine_draft_tokens_total", result="wrong")
    assert right > 0 and right > 2 * wrong, (right, wrong)


def test_a_file_that_is_no_model_is_named(start, tmp_path):
    (tmp_path / "none.gguf").write_bytes(b"GGUF, but not really")
    with pytest.raises(AssertionError, match=r"none\.gguf"):
        start("wrong", "    draft_path: none.gguf\n")
