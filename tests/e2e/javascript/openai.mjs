// The npm package openai as a client. DEEPSEEK_URL is the server's address.
import assert from "node:assert/strict";
import test from "node:test";
import OpenAI from "openai";

const model = "deepseek-chat";
const client = new OpenAI({
  baseURL: process.env.DEEPSEEK_URL + "/v1",
  apiKey: "unused",
  maxRetries: 0,
});
const messages = [{ role: "user", content: "Say hello." }];

test("a whole answer", async () => {
  const answer = await client.chat.completions.create({
    model, messages, max_tokens: 8, temperature: 0,
  });
  assert.equal(answer.object, "chat.completion");
  assert.ok(answer.choices[0].message.content.length > 0);
  assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
});

test("a stream joins to the whole answer", async () => {
  const fields = { model, messages, max_tokens: 12, temperature: 0 };
  const whole = await client.chat.completions.create(fields);
  let text = "";
  for await (const chunk of await client.chat.completions.create({ ...fields, stream: true })) {
    text += chunk.choices[0]?.delta?.content ?? "";
  }
  assert.equal(text, whole.choices[0].message.content);
});

test("a stream can be left", async () => {
  const stream = await client.chat.completions.create({
    model, messages, max_tokens: 2000, stream: true,
  });
  for await (const chunk of stream) {
    assert.ok(chunk.id);
    break;
  }
  stream.controller.abort();
});

test("JSON of a schema", async () => {
  const schema = {
    type: "object",
    properties: { colour: { enum: ["red", "green"] } },
    required: ["colour"],
    additionalProperties: false,
  };
  const answer = await client.chat.completions.create({
    model, messages, max_tokens: 100, temperature: 0,
    response_format: { type: "json_schema", json_schema: { name: "it", schema, strict: true } },
  });
  assert.ok(["red", "green"].includes(JSON.parse(answer.choices[0].message.content).colour));
});

test("a call of a tool and its result", async () => {
  const tools = [{
    type: "function",
    function: {
      name: "look",
      parameters: {
        type: "object",
        properties: { at: { enum: ["sky", "sea"] } },
        required: ["at"],
        additionalProperties: false,
      },
    },
  }];
  const asked = await client.chat.completions.create({
    model, messages, tools, max_tokens: 200, temperature: 0, parallel_tool_calls: false,
    tool_choice: { type: "function", function: { name: "look" } },
  });
  assert.equal(asked.choices[0].finish_reason, "tool_calls");
  const [call] = asked.choices[0].message.tool_calls;
  assert.ok(["sky", "sea"].includes(JSON.parse(call.function.arguments).at));
  const answer = await client.chat.completions.create({
    model, tools, max_tokens: 4, tool_choice: "none",
    messages: [
      ...messages,
      asked.choices[0].message,
      { role: "tool", tool_call_id: call.id, content: "blue" },
    ],
  });
  assert.ok(answer.choices[0].message.content.length > 0);
});

test("Responses", async () => {
  const answer = await client.responses.create({
    model, input: "Say hello.", max_output_tokens: 16, temperature: 0,
  });
  assert.ok(answer.output_text.length > 0);
  let text = "";
  const events = await client.responses.create({
    model, input: "Say hello.", max_output_tokens: 16, temperature: 0, stream: true,
  });
  for await (const event of events) {
    if (event.type === "response.output_text.delta") text += event.delta;
  }
  assert.equal(text, answer.output_text);
});

test("embeddings", async () => {
  const answer = await client.embeddings.create({ model, input: ["one", "two"] });
  assert.equal(answer.data.length, 2);
  assert.ok(answer.data[0].embedding.every(Number.isFinite));
});

test("errors are the SDK's own", async () => {
  const missing = client.chat.completions.create({ model: "nobody", messages });
  await assert.rejects(missing, OpenAI.NotFoundError);
  const wrong = client.chat.completions.create({ model, messages, temperature: -1 });
  await assert.rejects(wrong, (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.equal(error.param, "temperature");
    return true;
  });
});
