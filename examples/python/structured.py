"""An answer that is JSON of a schema, whatever the model would rather say."""

import json
import os

from openai import OpenAI

SCHEMA = {
    "type": "object",
    "properties": {
        "mood": {"enum": ["good", "bad", "mixed"]},
        "stars": {"type": "integer", "minimum": 1, "maximum": 5},
    },
    "required": ["mood", "stars"],
    "additionalProperties": False,
}
client = OpenAI(
    base_url=os.environ.get("DEEPSEEK_URL", "http://127.0.0.1:8080") + "/v1",
    api_key=os.environ.get("DEEPSEEK_KEY", "unused"),
)
answer = client.chat.completions.create(
    model="deepseek-chat",
    messages=[{"role": "user", "content": "Rate this: the soup was cold, the view was great."}],
    response_format={
        "type": "json_schema",
        "json_schema": {"name": "rating", "schema": SCHEMA, "strict": True},
    },
    max_tokens=100,
)
rating = json.loads(answer.choices[0].message.content)
print(f"{rating['mood']}, {rating['stars']} of 5 stars")
