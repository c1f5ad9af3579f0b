// The npm package ai with its providers for DeepSeek and for OpenAI's form. DEEPSEEK_URL is the
// server's address.
import assert from "node:assert/strict";
import test from "node:test";
import { createDeepSeek } from "@ai-sdk/deepseek";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, jsonSchema, Output, streamText, tool } from "ai";

const url = process.env.DEEPSEEK_URL;
const providers = {
  deepseek: createDeepSeek({ baseURL: url, apiKey: "unused" })("deepseek-chat"),
  compatible: createOpenAICompatible({
    name: "ours",
    baseURL: url + "/v1",
    supportsStructuredOutputs: true,
    includeUsage: true,
  })("deepseek-chat"),
};
const usual = { prompt: "Say hello.", maxOutputTokens: 12, temperature: 0, maxRetries: 0 };

for (const [name, model] of Object.entries(providers)) {
  test(`${name}: whole and streamed`, async () => {
    const whole = await generateText({ ...usual, model });
    assert.ok(whole.text.length > 0);
    assert.ok(whole.usage.outputTokens > 0);
    const streamed = streamText({ ...usual, model });
    let text = "";
    for await (const piece of streamed.textStream) text += piece;
    assert.equal(text, whole.text);
    assert.equal((await streamed.usage).outputTokens, whole.usage.outputTokens);
  });

  test(`${name}: a call of a tool`, async () => {
    const look = tool({
      description: "Looks.",
      inputSchema: jsonSchema({
        type: "object",
        properties: { at: { enum: ["sky", "sea"] } },
        required: ["at"],
        additionalProperties: false,
      }),
    });
    const answer = await generateText({
      ...usual, model, maxOutputTokens: 200, tools: { look },
      toolChoice: { type: "tool", toolName: "look" },
    });
    assert.ok(answer.toolCalls.length > 0);
    for (const call of answer.toolCalls) {
      assert.equal(call.toolName, "look");
      assert.ok(["sky", "sea"].includes(call.input.at));
    }
  });

  test(`${name}: errors tell what is wrong`, async () => {
    await assert.rejects(generateText({ ...usual, model, topP: 7 }), (error) => {
      assert.match(String(error.message), /top_p/);
      return true;
    });
  });
}

test("an object of a schema", async () => {
  const schema = jsonSchema({
    type: "object",
    properties: { colour: { enum: ["red", "green"] } },
    required: ["colour"],
    additionalProperties: false,
  });
  const { output } = await generateText({
    ...usual, model: providers.compatible, maxOutputTokens: 100, output: Output.object({ schema }),
  });
  assert.ok(["red", "green"].includes(output.colour));
});
