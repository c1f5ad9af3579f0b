"""The real OpenAI SDK against the real server: only base_url and key differ from a tutorial."""

import asyncio
import math

import openai
import pytest

MODEL = "deepseek-chat"
HELLO = [{"role": "user", "content": "Say hello."}]


@pytest.fixture(scope="module")
def client(server):
    with openai.OpenAI(base_url=server.url + "/v1", api_key="unused", max_retries=0) as made:
        yield made


@pytest.fixture
async def async_client(server):
    url = server.url + "/v1"
    async with openai.AsyncOpenAI(base_url=url, api_key="unused", max_retries=0) as made:
        yield made


def test_chat(client):
    answer = client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=8)
    assert answer.object == "chat.completion"
    assert answer.model == "smollm2-135m-instruct"
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].message.content
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert 1 <= answer.usage.completion_tokens <= 8


def test_base_url_without_v1(server):
    with openai.OpenAI(base_url=server.url, api_key="unused", max_retries=0) as client:
        answer = client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=2)
        assert answer.choices[0].message.content
        assert "deepseek-chat" in [model.id for model in client.models.list()]


def test_stream_is_the_same_text(client):
    options = {"model": MODEL, "messages": HELLO, "max_tokens": 16, "temperature": 0}
    whole = client.chat.completions.create(**options)
    pieces, reason, usage = [], None, None
    stream = client.chat.completions.create(
        **options, stream=True, stream_options={"include_usage": True}
    )
    for chunk in stream:
        if chunk.choices:
            pieces.append(chunk.choices[0].delta.content or "")
            reason = chunk.choices[0].finish_reason or reason
        usage = chunk.usage or usage
    assert "".join(pieces) == whole.choices[0].message.content
    assert len([piece for piece in pieces if piece]) > 1
    assert reason == whole.choices[0].finish_reason
    assert usage.completion_tokens == whole.usage.completion_tokens


def test_stream_helper(client):
    """The helper fails on an answer that was cut, so a stop string ends this one."""
    with client.chat.completions.stream(
        model=MODEL, messages=HELLO, max_tokens=200, temperature=0, stop=["e"],
        extra_body={"ignore_eos": True},
    ) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert "content.done" in kinds
    assert final.choices[0].finish_reason == "stop"


async def test_async(async_client):
    answer = await async_client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=8)
    assert answer.choices[0].message.content


async def test_sixteen_streams_at_once(async_client):
    async def one(number):
        stream = await async_client.chat.completions.create(
            model=MODEL,
            stream=True,
            max_tokens=24,
            extra_body={"ignore_eos": True},
            messages=[{"role": "user", "content": f"Write about the number {number}."}],
            stream_options={"include_usage": True},
        )
        text, usage, ids = "", None, set()
        async for chunk in stream:
            ids.add(chunk.id)
            usage = chunk.usage or usage
            if chunk.choices:
                text += chunk.choices[0].delta.content or ""
        return text, usage, ids

    results = await asyncio.gather(*(one(number) for number in range(16)))
    assert all(usage.completion_tokens == 24 for _, usage, _ in results)
    assert all(text for text, _, _ in results)
    assert all(len(ids) == 1 for _, _, ids in results)
    assert len(set.union(*(ids for _, _, ids in results))) == 16


async def test_concurrent_greedy_answers_do_not_mix(async_client):
    async def one(colour):
        answer = await async_client.chat.completions.create(
            model=MODEL,
            max_tokens=12,
            temperature=0,
            messages=[{"role": "user", "content": f"Repeat the word {colour} three times."}],
        )
        return answer.choices[0].message.content

    colours = ["red", "green", "blue", "yellow"]
    answers = await asyncio.gather(*(one(colour) for colour in colours * 2))
    for colour, answer in zip(colours * 2, answers, strict=True):
        others = [other for other in colours if other != colour]
        assert not any(other in answer.lower() for other in others), (colour, answer)


def test_n(client):
    answer = client.chat.completions.create(
        model=MODEL, messages=HELLO, max_tokens=8, n=2, temperature=1.5, seed=3
    )
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert all(choice.message.content for choice in answer.choices)
    assert answer.choices[0].message.content != answer.choices[1].message.content


def test_n_streamed(client):
    texts = {0: "", 1: ""}
    reasons = {}
    for chunk in client.chat.completions.create(
        model=MODEL, messages=HELLO, max_tokens=8, n=2, stream=True
    ):
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
            reasons[choice.index] = choice.finish_reason or reasons.get(choice.index)
    assert all(texts.values())
    assert set(reasons.values()) <= {"stop", "length"} and len(reasons) == 2


def test_seed(client):
    def answer(seed):
        return (
            client.chat.completions.create(
                model=MODEL,
                messages=[{"role": "user", "content": "Invent a long word."}],
                max_tokens=16,
                temperature=1.5,
                seed=seed,
            )
            .choices[0]
            .message.content
        )

    assert answer(11) == answer(11)
    assert len({answer(seed) for seed in range(4)}) > 1


def test_stop(client):
    free = (
        client.completions.create(model=MODEL, prompt="1, 2, 3, 4,", max_tokens=24, temperature=0)
        .choices[0]
        .text
    )
    word = free[len(free) // 2 : len(free) // 2 + 2]
    stopped = client.completions.create(
        model=MODEL, prompt="1, 2, 3, 4,", max_tokens=24, temperature=0, stop=[word]
    ).choices[0]
    assert stopped.text == free[: free.index(word)]
    assert stopped.finish_reason == "stop"
    streamed = "".join(
        chunk.choices[0].text
        for chunk in client.completions.create(
            model=MODEL,
            prompt="1, 2, 3, 4,",
            max_tokens=24,
            temperature=0,
            stop=[word],
            stream=True,
        )
    )
    assert streamed == stopped.text


def test_completion_logprobs(client):
    choice = client.completions.create(
        model=MODEL,
        prompt="The capital of France is",
        max_tokens=4,
        temperature=0,
        logprobs=3,
        extra_body={"ignore_eos": True},
    ).choices[0]
    logprobs = choice.logprobs
    assert len(logprobs.tokens) == len(logprobs.token_logprobs) == len(logprobs.top_logprobs) == 4
    assert "".join(logprobs.tokens) == choice.text
    for token, logprob, top in zip(
        logprobs.tokens, logprobs.token_logprobs, logprobs.top_logprobs, strict=True
    ):
        assert logprob <= 0 and math.isfinite(logprob)
        assert max(top, key=top.get) == token  # greedy: the chosen token is the likeliest
        assert top[token] == pytest.approx(logprob, abs=1e-4)


def test_chat_logprobs(client):
    choice = client.chat.completions.create(
        model=MODEL,
        messages=HELLO,
        max_tokens=4,
        temperature=0,
        logprobs=True,
        top_logprobs=5,
        extra_body={"ignore_eos": True},
    ).choices[0]
    tokens = choice.logprobs.content
    assert len(tokens) == 4
    assert b"".join(bytes(token.bytes) for token in tokens).decode() == choice.message.content
    for token in tokens:
        assert len(token.top_logprobs) == 5
        assert token.top_logprobs[0].logprob == pytest.approx(token.logprob, abs=1e-4)
        assert sum(math.exp(other.logprob) for other in token.top_logprobs) <= 1.0001


def test_text_completion_of_several_prompts(client):
    answer = client.completions.create(model=MODEL, prompt=["One, two,", "A, B,"], max_tokens=4)
    assert [choice.index for choice in answer.choices] == [0, 1]


def test_embeddings(client):
    texts = ["A cat sits on a mat.", "A kitten lies on a rug.", "Interest rates rose by 2 %."]
    answer = client.embeddings.create(model=MODEL, input=texts)
    vectors = [row.embedding for row in answer.data]
    assert [row.index for row in answer.data] == [0, 1, 2]
    assert len({len(vector) for vector in vectors}) == 1

    def dot(a, b):
        return sum(x * y for x, y in zip(a, b, strict=True))

    assert all(dot(vector, vector) == pytest.approx(1, abs=1e-3) for vector in vectors)
    assert dot(vectors[0], vectors[1]) > dot(vectors[0], vectors[2])
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 0


def test_embeddings_as_floats_and_base64_agree(client):
    floats = client.embeddings.create(model=MODEL, input="A cat.", encoding_format="float")
    coded = client.embeddings.create(model=MODEL, input="A cat.")  # the SDK asks for base64
    assert floats.data[0].embedding == pytest.approx(coded.data[0].embedding, abs=1e-6)


def test_models(client):
    names = [model.id for model in client.models.list()]
    assert names[0] == "smollm2-135m-instruct"
    assert {"deepseek-chat", "deepseek-reasoner", "gpt-4o", "deepseek-ai/DeepSeek-V2"} <= set(names)
    assert client.models.retrieve("deepseek-ai/DeepSeek-V2").id == "deepseek-ai/DeepSeek-V2"


@pytest.mark.parametrize(
    "content", ["请用中文数到十：一、二、三、", "Repeat: 😀😃😄😁🎉 naïve café"]
)
def test_utf8_is_never_broken(client, server, content):
    body = {
        "messages": [{"role": "user", "content": content}],
        "max_tokens": 48,
        "seed": 5,
        "ignore_eos": True,
        "stream": True,
        "temperature": 1.3,
    }
    with server.stream("/v1/chat/completions", body) as stream:
        pieces = [  # every line must decode by itself
            frame["choices"][0]["delta"].get("content") or ""
            for frame in stream.frames()
            if frame != "[DONE]"
        ]
    whole = client.chat.completions.create(
        model=MODEL,
        messages=body["messages"],
        max_tokens=48,
        seed=5,
        temperature=1.3,
        extra_body={"ignore_eos": True},
    )
    assert "".join(pieces) == whole.choices[0].message.content


def test_forced_halves_of_a_character(server):
    """Tokens of single bytes: a character that the model never finishes becomes U+FFFD."""
    body = {
        "prompt": "😀😀😀😀😀😀😀😀",
        "max_tokens": 32,
        "temperature": 1.9,
        "seed": 9,
        "ignore_eos": True,
        "stream": True,
    }
    with server.stream("/v1/completions", body) as stream:
        text = "".join(
            frame["choices"][0]["text"] for frame in stream.frames() if frame != "[DONE]"
        )
    assert text == text.encode("utf-8").decode("utf-8") and text


def test_errors_have_the_sdk_s_classes(client):
    with pytest.raises(openai.NotFoundError) as unknown:
        client.chat.completions.create(model="gpt-9", messages=HELLO)
    assert unknown.value.code == "model_not_found"
    assert unknown.value.request_id
    with pytest.raises(openai.BadRequestError) as wrong:
        client.chat.completions.create(model=MODEL, messages=HELLO, temperature=5)
    assert wrong.value.param == "temperature"
    with pytest.raises(openai.BadRequestError) as long:
        client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "hello " * 9000}]
        )
    assert long.value.code == "context_length_exceeded"


def test_a_long_prompt(client):
    answer = client.completions.create(model=MODEL, prompt="hello " * 2500, max_tokens=4)
    assert answer.usage.prompt_tokens > 2400
