"""A loop with tools: the model asks for calls, the program makes them, the model answers."""

import json
import os

from openai import OpenAI

TURNS_MAX = 4
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather of a city.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"enum": ["Rome", "Oslo", "Xi'an"]}},
                "required": ["city"],
                "additionalProperties": False,
            },
            "strict": True,
        },
    }
]


def get_weather(city):
    return {"Rome": "sunny, 24 °C", "Oslo": "rain, 9 °C", "Xi'an": "cloudy, 17 °C"}[city]


client = OpenAI(
    base_url=os.environ.get("DEEPSEEK_URL", "http://127.0.0.1:8080") + "/v1",
    api_key=os.environ.get("DEEPSEEK_KEY", "unused"),
)
messages = [{"role": "user", "content": "Is it warmer in Rome or in Oslo?"}]
for turn in range(TURNS_MAX):
    answer = client.chat.completions.create(
        model="deepseek-chat",
        messages=messages,
        tools=TOOLS,
        # Small models seldom ask by themselves; a large one needs no "required".
        tool_choice="required" if turn == 0 else "none",
        max_tokens=200,
    ).choices[0]
    messages.append(answer.message)
    if not answer.message.tool_calls:
        print(answer.message.content)
        break
    for call in answer.message.tool_calls:
        arguments = json.loads(call.function.arguments)
        print(f"{call.function.name}({arguments})")
        result = get_weather(**arguments)
        messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
