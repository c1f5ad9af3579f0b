// The chat page: sends the conversation to POST /v1/chat/completions and shows the answer as it
// comes. Everything it shows is text, never HTML.
"use strict";

const conversation = [];  // {role, content}
const part = (id) => document.getElementById(id);
let running = null;  // AbortController of the answer that is being made
const keyName = "deepseek-server-key";  // in sessionStorage: it ends with this tab

function say(kind, text) {
  const article = document.createElement("article");
  article.className = kind;
  article.textContent = text;
  part("messages").append(article);
  article.scrollIntoView({block: "end"});
  return article;
}

function add(article, text) {
  const list = part("messages");
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  article.append(text);
  if (atEnd) list.scrollTop = list.scrollHeight;
}

function note(article, text) {
  const footer = document.createElement("footer");
  footer.textContent = text;
  article.append(footer);
}

// Yields the payloads of an event stream's `data:` lines.
async function* frames(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const {done, value} = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (line.startsWith("data: ")) yield line.slice(6);
    }
  }
}

async function errorOf(response) {
  const text = await response.text();
  try {
    return JSON.parse(text).error.message;
  } catch {
    return `the server answered ${response.status}: ${text.slice(0, 300)}`;
  }
}

// With the key, if one was given. A server that wants one makes its field visible.
async function ask(path, options = {}) {
  const key = sessionStorage.getItem(keyName);
  const headers = {...options.headers, ...(key ? {Authorization: `Bearer ${key}`} : {})};
  const response = await fetch(path, {...options, headers});
  if (response.status === 401) {
    part("key-field").hidden = false;
    part("key").focus();
  }
  return response;
}

async function answer(signal) {
  const response = await ask("v1/chat/completions", {
    method: "POST",
    headers: {"Content-Type": "application/json"},
    body: JSON.stringify({model: part("model").value, messages: conversation, stream: true,
                          stream_options: {include_usage: true}}),
    signal,
  });
  if (!response.ok) throw new Error(await errorOf(response));
  await show(response);
}

async function show(response) {
  const made = {role: "assistant", content: ""};
  let thought = null, spoken = null, usage = null, first = 0;
  try {
    for await (const frame of frames(response.body)) {
      if (frame === "[DONE]") break;
      const event = JSON.parse(frame);
      if (event.error) throw new Error(event.error.message);
      usage = event.usage ?? usage;
      const delta = event.choices[0]?.delta ?? {};
      if (delta.reasoning_content) add(thought ??= say("reasoning", ""), delta.reasoning_content);
      if (!delta.content) continue;
      first ||= performance.now();
      add(spoken ??= say("assistant", ""), delta.content);
      made.content += delta.content;
    }
  } finally {
    if (made.content) conversation.push(made);
  }
  const seconds = (performance.now() - first) / 1000;
  const rate = usage?.completion_tokens > 1 ? (usage.completion_tokens - 1) / seconds : 0;
  spoken ??= say("assistant", "");
  if (usage) note(spoken, `${usage.completion_tokens} tokens, ${rate.toFixed(0)} a second`);
}

async function send() {
  const text = part("prompt").value.trim();
  if (!text || running) return;
  part("prompt").value = "";
  say("user", text);
  conversation.push({role: "user", content: text});
  running = new AbortController();
  part("send").hidden = !(part("stop").hidden = false);
  try {
    await answer(running.signal);
  } catch (error) {
    if (error.name === "AbortError") say("reasoning", "stopped");
    else say("wrong", error.message);
  }
  running = null;
  part("send").hidden = !(part("stop").hidden = true);
  part("prompt").focus();
}

async function lookAtServer() {
  try {
    const state = await (await fetch("ready")).json();
    part("state").textContent = state.reason ?? "ready";
    if (state.status === "ready") return;
  } catch {
    part("state").textContent = "the server does not answer";
  }
  setTimeout(lookAtServer, 1000);
}

async function listModels() {
  const response = await ask("v1/models");
  if (!response.ok) throw new Error(await errorOf(response));
  const models = (await response.json()).data;
  const names = models.map((model) => new Option(model.id));
  part("model").replaceChildren(new Option("the default", ""), ...names);
}

// What was wrong before goes as soon as it is right, or something else is wrong.
let complaint = null;
async function showModels() {
  let wrong = "";
  try {
    await listModels();
  } catch (error) {
    wrong = error.message;
  }
  complaint?.remove();
  complaint = wrong ? say("wrong", wrong) : null;
}

part("form").addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
part("prompt").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  send();
});
part("stop").addEventListener("click", () => running?.abort());
part("clear").addEventListener("click", () => {
  running?.abort();
  conversation.length = 0;
  part("messages").replaceChildren();
});
part("key").addEventListener("change", () => {
  const key = part("key").value.trim();
  if (key) sessionStorage.setItem(keyName, key);
  else sessionStorage.removeItem(keyName);
  showModels();
});
part("key").value = sessionStorage.getItem(keyName) ?? "";
part("key-field").hidden = !part("key").value;
lookAtServer();
showModels();
