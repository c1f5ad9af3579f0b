// Prints an answer as it is written, with nothing but fetch.
const url = process.env.DEEPSEEK_URL ?? "http://127.0.0.1:8080";
const question = process.argv[2] ?? "Tell me about the sea.";

const response = await fetch(url + "/v1/chat/completions", {
  method: "POST",
  headers: {
    "Content-Type": "application/json",
    Authorization: `Bearer ${process.env.DEEPSEEK_KEY ?? "unused"}`,
  },
  body: JSON.stringify({
    model: "deepseek-chat",
    messages: [{ role: "user", content: question }],
    max_tokens: 64,
    stream: true,
  }),
});
if (!response.ok) {
  const { error } = await response.json();
  throw new Error(`${response.status}: ${error.message}`);
}

// Server-sent events: "data: {…}" and an empty line each; "data: [DONE]" is the last.
let held = "";
for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
  held += piece;
  const frames = held.split("\n\n");
  held = frames.pop();
  for (const frame of frames) {
    const data = frame.replace(/^data: /, "");
    if (!frame.startsWith("data: ") || data === "[DONE]") continue;
    process.stdout.write(JSON.parse(data).choices[0]?.delta?.content ?? "");
  }
}
process.stdout.write("\n");
