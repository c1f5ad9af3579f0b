"""Prints an answer as it is written."""

import os
import sys

from openai import OpenAI

client = OpenAI(
    base_url=os.environ.get("DEEPSEEK_URL", "http://127.0.0.1:8080") + "/v1",
    api_key=os.environ.get("DEEPSEEK_KEY", "unused"),
)
question = sys.argv[1] if len(sys.argv) > 1 else "Tell me about the sea."
stream = client.chat.completions.create(
    model="deepseek-chat",
    messages=[{"role": "user", "content": question}],
    max_tokens=64,
    stream=True,
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
print()
