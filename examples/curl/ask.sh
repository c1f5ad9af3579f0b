#!/bin/sh
# Models, a chat, a stream, embeddings and tokens, by curl.
set -eu
url=${DEEPSEEK_URL:-http://127.0.0.1:8080}
key=${DEEPSEEK_KEY:-unused}

ask() {
  curl --silent --show-error --fail-with-body --no-buffer \
    -H "Authorization: Bearer $key" -H "Content-Type: application/json" "$@"
  echo
}

ask "$url/v1/models"
ask "$url/v1/chat/completions" -d '{
  "model": "deepseek-chat",
  "messages": [{"role": "user", "content": "Say hello."}],
  "max_tokens": 16
}'
ask "$url/v1/chat/completions" -d '{
  "model": "deepseek-chat",
  "messages": [{"role": "user", "content": "Say hello."}],
  "max_tokens": 16,
  "stream": true
}'
ask "$url/v1/embeddings" -d '{"model": "deepseek-chat", "input": "A cat.", "encoding_format": "base64"}'
ask "$url/v1/tokenize" -d '{"model": "deepseek-chat", "prompt": "Say hello."}'
