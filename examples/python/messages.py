"""The same server in Anthropic's form."""

import os

from anthropic import Anthropic

client = Anthropic(
    base_url=os.environ.get("DEEPSEEK_URL", "http://127.0.0.1:8080"),
    api_key=os.environ.get("DEEPSEEK_KEY", "unused"),
)
with client.messages.stream(
    model="deepseek-chat",
    max_tokens=64,
    messages=[{"role": "user", "content": "Tell me about the sea."}],
) as stream:
    for text in stream.text_stream:
        print(text, end="", flush=True)
print()
