"""Images for a local model, with the real SDKs: seen, found again, refused where they are wrong.

The projector has random weights, so what is said means nothing; that it hangs on the image does.
"""

import base64
import socket
import threading
import zlib

import anthropic
import openai
import pytest

from support import gateway, images, vision_model
from support.models import default_model
from support.server import Server, run
from support.waiting import wait_until

MODEL = "seeing"
ROWS = vision_model.ROWS
RED, NOISE = images.png(), images.png(seed=5)


def configuration(folder, **sections):
    vision_model.write(folder / "mmproj.gguf")
    file = folder / "images.yaml"
    lines = [
        "models:",
        f"  - {{name: {MODEL}, path: {default_model()}, mmproj: mmproj.gguf, context_max: 2048}}",
    ]
    for section, values in sections.items():
        lines.append(f"{section}: {{{', '.join(f'{k}: {v}' for k, v in values.items())}}}")
    file.write_text("\n".join(lines), "utf-8")
    return file


@pytest.fixture(scope="module")
def seeing(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    file = configuration(folder, images={"count_max": 4, "bytes_max": 300_000})
    server = Server(("--config", file))
    yield server
    server.kill()


@pytest.fixture(scope="module")
def client(seeing):
    with openai.OpenAI(base_url=f"{seeing.url}/v1", api_key="none", max_retries=0) as made:
        yield made


def part(file, kind="image/png"):
    return {"type": "image_url", "image_url": {"url": images.data_url(file, kind)}}


def url_part(url):
    return {"type": "image_url", "image_url": {"url": url}}


def question(*parts, text="What is this?"):
    return [{"role": "user", "content": [{"type": "text", "text": text}, *parts]}]


def ask(client, messages, **options):
    settings = {"temperature": 0, "max_tokens": 8, "logprobs": True} | options
    return client.chat.completions.create(model=MODEL, messages=messages, **settings)


def first_logprob(answer):
    return answer.choices[0].logprobs.content[0].logprob


def refusal(client, *parts, **options):
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, question(*parts), **options)
    assert refused.value.type == "invalid_request_error"
    return refused.value


def pid(server):
    (child,) = server.children()
    return child


# --- seen ----------------------------------------------------------------------------------------


def test_an_image_is_read_once_and_found_again(client):
    once = ask(client, question(part(NOISE)))
    twice = ask(client, question(part(NOISE)))
    assert once.usage.prompt_tokens > ROWS
    assert twice.usage.prompt_tokens_details.cached_tokens == once.usage.prompt_tokens - 1
    assert first_logprob(twice) == pytest.approx(first_logprob(once), abs=0.1)
    other = ask(client, question(part(images.png(seed=6))))
    assert other.usage.prompt_tokens_details.cached_tokens < once.usage.prompt_tokens - ROWS


def test_the_answer_hangs_on_images_their_place_and_order(client):
    red, jpeg = part(RED), part(images.jpeg(), "image/jpeg")
    text = {"type": "text", "text": "What is this?"}
    asked = [
        question(red),
        question(jpeg),
        question(red, jpeg),
        question(jpeg, red),
        [{"role": "user", "content": [red, text]}],
        question(),
    ]
    seen = [round(first_logprob(ask(client, messages)), 5) for messages in asked]
    assert len(set(seen)) == len(asked), seen


def test_text_image_and_data_in_one_question(seeing):
    def infer(**more):
        body = {"model": MODEL, "query": "Which row is it?", "max_tokens": 4, "temperature": 0}
        answer = seeing.post("/api/v1/infer", {**body, **more})
        assert answer.status == 200, answer.text()
        return answer.json()["usage"]["prompt_tokens"]

    table = {"data": "colour,number\nred,1\nblue,2\n", "format": "csv"}
    image = {"images": [images.data_url(RED, "image/png")]}
    alone, seen, told = infer(), infer(**image), infer(**table)
    assert seen >= alone + ROWS and told > alone + 8
    both = infer(**image, **table)
    assert both >= told + ROWS and both > seen + 8


def test_streamed(client):
    whole = ask(client, question(part(RED)), logprobs=False)
    stream = ask(client, question(part(RED)), logprobs=False, stream=True)
    said = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    assert said[:4] == whole.choices[0].message.content[:4]


def test_a_conversation_goes_on_behind_an_image(client):
    messages = question(part(NOISE))
    answer = ask(client, messages)
    messages.append({"role": "assistant", "content": answer.choices[0].message.content})
    messages.append({"role": "user", "content": "And now?"})
    again = ask(client, messages)
    assert again.usage.prompt_tokens_details.cached_tokens >= answer.usage.prompt_tokens - 8


def test_large_files_and_several_choices(client):
    large = images.png(width=300, height=280, seed=1)  # of about 250 KB
    answer = ask(client, question(part(large)), n=3)
    assert len(answer.choices) == 3


def test_anthropic(seeing):
    with anthropic.Anthropic(base_url=seeing.url, api_key="none", max_retries=0) as client:
        source = {"type": "base64", "media_type": "image/png"}
        source["data"] = base64.b64encode(RED).decode()
        content = [{"type": "text", "text": "What is this?"}, {"type": "image", "source": source}]
        messages = [{"role": "user", "content": content}]
        message = client.messages.create(model=MODEL, messages=messages, max_tokens=8)
        assert message.usage.output_tokens == 8
        counted = client.messages.count_tokens(model=MODEL, messages=messages).input_tokens
        usage = message.usage
        assert counted == usage.input_tokens + (usage.cache_read_input_tokens or 0)
        assert counted > ROWS
        result = {"type": "tool_result", "tool_use_id": "call_1", "content": content[1:]}
        tools = [{"name": "look", "input_schema": {"type": "object", "properties": {}}}]
        call = {"type": "tool_use", "id": "call_1", "name": "look", "input": {}}
        turn = [
            {"role": "user", "content": "Look."},
            {"role": "assistant", "content": [call]},
            {"role": "user", "content": [result]},
        ]
        shown = client.messages.create(model=MODEL, messages=turn, tools=tools, max_tokens=4)
        assert shown.usage.input_tokens + (shown.usage.cache_read_input_tokens or 0) > ROWS


def test_responses(client):
    content = [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": images.data_url(RED), "detail": "low"},
    ]
    answer = client.responses.create(
        model=MODEL, input=[{"role": "user", "content": content}], max_output_tokens=8
    )
    assert answer.usage.input_tokens > ROWS
    content[1]["image_url"] = "data:image/gif;base64,R0lGODlhAQABAAAAACw="
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(model=MODEL, input=[{"role": "user", "content": content}])
    assert "image/png or image/jpeg" in refused.value.message


# --- refused -------------------------------------------------------------------------------------


def test_what_is_wrong_is_named_with_its_field(client):
    field = "messages[0].content[1].image_url"
    for url, words in [
        ("data:image/png;base64,%%%", "no base64"),
        ("data:image/png;base64,", "neither a PNG nor a JPEG"),
        ("data:image/png;base64,iVBORw0KGgo=", "cut off"),
        ("data:image/gif;base64,R0lGODlhAQABAAAAACw=", "image/png or image/jpeg"),
        ("data:text/plain;base64,aGVsbG8=", "image/png or image/jpeg"),
        ("data:image/png,abc", "of the form"),
        (images.data_url(b"GIF89a" + bytes(30)), "neither a PNG nor a JPEG"),
        (images.data_url(bytes(400_000)), "images.bytes_max"),
    ]:
        refused = refusal(client, url_part(url))
        assert refused.param == field, url[:40]
        assert words in refused.message, (url[:40], refused.message)
    second = refusal(client, part(RED), url_part("data:image/png;base64,%"))
    assert second.param == "messages[0].content[2].image_url"


def test_bombs(client, seeing):
    before = pid(seeing)
    zeros = zlib.compress(bytes(100_000_000), 9)
    for file, words in [
        (images.png_of(50_000, 50_000, zlib.compress(b"x")), "images.pixels_max"),
        (images.png_of(1, 16_000, zlib.compress(b"x")), "64 times"),
        (images.png_of(4, 4, zeros), "more data than its pixels"),
        (images.jpeg(scans=100), "scans"),
    ]:
        refused = refusal(client, part(file))
        assert words in refused.message, refused.message
    assert pid(seeing) == before


def test_too_many(client):
    refused = refusal(client, *[part(RED)] * 5)
    assert "5 images; at most 4" in refused.message
    assert ask(client, question(*[part(RED)] * 4)).usage.prompt_tokens > 4 * ROWS


def test_damaged_files_cost_nobody_else_anything(client, seeing):
    before = pid(seeing)
    refused = 0
    for file, kind in [(images.png(seed=2), "image/png"), (images.jpeg(), "image/jpeg")]:
        for broken in images.mutations(file, 60, seed=3):
            try:
                ask(client, question(part(broken, kind)), max_tokens=1)
            except openai.BadRequestError as error:
                assert error.param == "messages[0].content[1].image_url"
                refused += 1
    assert refused > 60
    assert pid(seeing) == before
    assert ask(client, question(part(RED))).usage.completion_tokens == 8


def test_urls_are_not_fetched_unless_that_is_allowed(client):
    refused = refusal(client, url_part("https://example.com/cat.png"))
    assert "images.remote" in refused.message and "data:image/png" in refused.message


def test_only_public_addresses_are_asked(start_server, tmp_path):
    heard = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        threading.Thread(
            target=lambda: heard.append(listener.accept()[0]), daemon=True
        ).start()
        server = start_server("--config", configuration(tmp_path, images={"remote": "true"}))
        with openai.OpenAI(base_url=f"{server.url}/v1", api_key="x", max_retries=0) as client:
            for host in [
                "127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
                "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "0", "0.0.0.0", "localhost.",
                "169.254.169.254", "10.0.0.1", "192.168.0.1", "[fe80::1]", "[64:ff9b::7f00:1]",
            ]:  # fmt: skip
                refused = refusal(client, url_part(f"https://{host}:{port}/a.png"))
                assert "cannot be fetched" in refused.message, (host, refused.message)
            for url in [
                f"https://example.com@127.0.0.1:{port}/", f"https://127.0.0.1:{port}\\@a.com/",
                "https:///a.png", "https://a b/", "https://%31%32%37.0.0.1/", "https://a:0/",
            ]:  # fmt: skip
                assert "URL cannot be used" in refusal(client, url_part(url)).message, url
        assert not heard


def test_a_model_without_a_projector_says_so(server):
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        with pytest.raises(openai.BadRequestError) as refused:
            client.chat.completions.create(
                model="deepseek-chat", messages=question(part(RED)), max_tokens=4
            )
    assert refused.value.param == "messages[0].content[1]"
    assert "does not see images" in refused.value.message
    assert "models[].mmproj" in refused.value.message


def test_a_backend_that_sees_is_asked_instead(start_gateway, start_upstream):
    far = start_upstream("far")
    server = start_gateway(
        [gateway.backend("far", far.url, upstream_models={"near": "big"})],
        [{"model": "*", "backends": ["local", "far"], "strategy": "priority"}],
        models=[{"name": "near", "path": str(default_model()), "context_max": 512}],
        default_model="near",
    )
    asked = {"model": "near", "messages": question(part(RED)), "max_tokens": 4}
    answer = server.post("/v1/chat/completions", asked)
    assert answer.status == 200, answer.text()
    (call,) = far.default.chats()
    assert call.body["messages"][0]["content"][1] == part(RED)


def with_projector(folder, name):
    file = folder / "wrong.yaml"
    file.write_text(
        f"models:\n  - {{name: base, path: {default_model()}, mmproj: {name}}}\n", "utf-8"
    )
    return "--config", file


def test_what_is_no_projector_stops_the_start(tmp_path):
    (tmp_path / "text.gguf").symlink_to(default_model())
    (tmp_path / "short.gguf").write_bytes(b"GGUF")
    for name, words in [
        ("text.gguf", ["text.gguf", "models[].mmproj", "architecture", "no projector"]),
        ("short.gguf", ["short.gguf", "models[].mmproj"]),
        ("missing.gguf", ["missing.gguf", "models[].mmproj"]),
    ]:
        ended = run([*with_projector(tmp_path, name), "--port", "0", "--set", "metrics.port=0"])
        assert ended.returncode == 2, ended.stderr
        assert all(word in ended.stderr for word in words), ended.stderr


def test_a_projector_of_another_model_is_named(start_server, tmp_path):
    vision_model.write(tmp_path / "narrow.gguf", embedding=64)
    server = start_server(*with_projector(tmp_path, "narrow.gguf"), wait="listening")

    def failed():
        return [one["status"] for one in server.get("/health").json()["models"]] == ["failed"]

    wait_until(failed, "the projector is refused")
    refused = server.chat(model="base")
    assert refused.status == 503
    message = refused.json()["error"]["message"]
    assert "narrow.gguf" in message and "n_embd = 64" in message, message
