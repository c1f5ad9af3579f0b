"""Prompts that are told in front of their answers: what tools that score texts ask for."""

import math

import openai
import pytest

PROMPT = "The river runs past the old mill, «naïve 🙂», and on to the sea."


@pytest.fixture
def ask(server):
    with openai.OpenAI(base_url=server.url + "/v1", api_key="unused", max_retries=0) as client:
        options = {"model": "deepseek-chat", "temperature": 0, "max_tokens": 4}
        yield lambda **changes: client.completions.create(**(options | changes))


def tokens_of(server, prompt):
    return server.post("/v1/tokenize", {"prompt": prompt}).json()["tokens"]


def as_bytes(tokens):
    def one(token):
        if not token.startswith("bytes:"):
            return token.encode()
        return bytes(int(part, 16) for part in token.removeprefix("bytes:").split("\\x")[1:])

    return b"".join(one(token) for token in tokens)


def check_scores(told, count):
    assert len(told.tokens) == len(told.token_logprobs) == len(told.top_logprobs) == count
    assert told.token_logprobs[0] is None and told.top_logprobs[0] is None
    for token, value, tops in list(
        zip(told.tokens, told.token_logprobs, told.top_logprobs, strict=True)
    )[1:]:
        assert value <= 0 and tops[token] == value
        assert max(tops.values()) >= value
        assert sum(map(math.exp, tops.values())) <= 1.001


def test_a_prompt_is_scored_without_an_answer(server, ask):
    choice = ask(prompt=PROMPT, echo=True, logprobs=2, max_tokens=0).choices[0]
    assert choice.text == PROMPT and choice.finish_reason == "length"
    check_scores(choice.logprobs, len(tokens_of(server, PROMPT)))
    assert as_bytes(choice.logprobs.tokens).decode() == PROMPT
    offsets = choice.logprobs.text_offset
    assert offsets[0] == 0 and offsets == sorted(offsets) and offsets[-1] < len(PROMPT)


def test_what_was_said_scores_as_it_was_said(ask):
    said = ask(prompt=PROMPT, logprobs=0, max_tokens=8).choices[0]
    scored = ask(prompt=PROMPT + said.text, echo=True, logprobs=0, max_tokens=0).choices[0].logprobs
    count = len(said.logprobs.tokens)
    assert scored.tokens[-count:] == said.logprobs.tokens
    expected = pytest.approx(said.logprobs.token_logprobs, abs=0.05)
    assert scored.token_logprobs[-count:] == expected


def test_the_same_again_and_in_a_stream_and_by_tokens(server, ask):
    options = {"echo": True, "logprobs": 1, "seed": 7}
    whole = ask(prompt=PROMPT, **options).choices[0]
    assert ask(prompt=PROMPT, **options).choices[0] == whole, "nothing of it came from the cache"
    assert whole.text.startswith(PROMPT) and len(whole.text) > len(PROMPT)
    by_tokens = ask(prompt=tokens_of(server, PROMPT), **options).choices[0]
    assert by_tokens == whole
    text, scores, offsets = "", [], []
    for chunk in ask(prompt=PROMPT, stream=True, **options):
        for choice in chunk.choices:
            text += choice.text
            if choice.logprobs:
                scores += choice.logprobs.token_logprobs
                offsets += choice.logprobs.text_offset
    assert text == whole.text
    assert scores == whole.logprobs.token_logprobs and offsets == whole.logprobs.text_offset


def test_a_long_prompt_beside_others(server, ask):
    long = " ".join(f"Stone number {number} lies in the river." for number in range(60))
    count = len(tokens_of(server, long))
    assert count > 300, "several steps of the engine"
    choices = ask(prompt=[long, PROMPT, long], echo=True, logprobs=1, n=2, max_tokens=2).choices
    assert len(choices) == 6
    for number, choice in enumerate(choices):
        prompt = PROMPT if number in (2, 3) else long
        answer = choice.text.removeprefix(prompt)
        assert choice.text == prompt + answer
        check_scores(choice.logprobs, len(tokens_of(server, prompt)) + 2)
        assert as_bytes(choice.logprobs.tokens).decode("utf-8", "replace").startswith(prompt)


def test_a_prompt_of_tokens_is_told_as_text(server, ask):
    choice = ask(prompt=tokens_of(server, PROMPT), echo=True).choices[0]
    plain = ask(prompt=PROMPT).choices[0].text
    assert choice.text == PROMPT + plain and choice.logprobs is None


def test_what_cannot_be_is_refused(ask):
    with pytest.raises(openai.BadRequestError) as told:
        ask(prompt=PROMPT, max_tokens=0)
    assert told.value.param == "max_tokens"
    with pytest.raises(openai.BadRequestError, match="suffix") as told:
        ask(prompt=PROMPT, suffix="x", echo=True, logprobs=1)
    assert told.value.param == "echo"
