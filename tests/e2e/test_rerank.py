"""POST /v1/rerank: by the vectors of the model here, and by an upstream that ranks itself."""

import pytest

from support import gateway
from support import upstream_faults as faults

DOCUMENTS = [
    "The train to the coast leaves at nine in the morning.",
    "A cat sat on the mat and slept.",
    "Bread is baked from flour, water, salt and yeast.",
]
QUESTION = "A cat sat on the mat and slept all day."


def test_the_model_ranks_by_its_vectors(server):
    answer = server.post("/v1/rerank", {"query": QUESTION, "documents": DOCUMENTS})
    assert answer.status == 200
    body = answer.json()
    results = body["results"]
    assert sorted(result["index"] for result in results) == [0, 1, 2]
    scores = [result["relevance_score"] for result in results]
    assert scores == sorted(scores, reverse=True)
    assert results[0]["index"] == 1, "the nearly equal text comes first"
    assert all(-1 <= score <= 1 for score in scores)
    assert "document" not in results[0]
    texts = server.post("/v1/embeddings", {"input": [QUESTION, *DOCUMENTS]}).json()
    assert body["usage"]["prompt_tokens"] == texts["usage"]["prompt_tokens"]
    vectors = [row["embedding"] for row in texts["data"]]
    cosine = sum(a * b for a, b in zip(vectors[0], vectors[2], strict=True))
    assert scores[0] == pytest.approx(cosine, abs=1e-4)


def test_the_best_few_with_their_texts(server):
    asked = {"query": QUESTION, "documents": DOCUMENTS, "top_n": 1, "return_documents": True}
    results = server.post("/v1/rerank", asked).json()["results"]
    assert [result["document"]["text"] for result in results] == [DOCUMENTS[1]]


def test_what_is_wrong_is_said(server):
    answer = server.post("/v1/rerank", {"query": QUESTION, "documents": []})
    assert answer.status == 400
    assert answer.json()["error"]["param"] == "documents"


def test_an_upstream_ranks_itself(start_gateway, pair):
    relay = start_gateway([gateway.backend(one.name, one.url) for one in pair])
    pair[0].behave(faults.status(503))
    pair[1].behave(faults.scores())
    asked = {"model": "ranker", "query": QUESTION, "documents": DOCUMENTS, "top_n": 2}
    answer = relay.post("/v1/rerank", asked)
    assert answer.status == 200
    body = answer.json()
    longest = sorted(range(3), key=lambda index: -len(DOCUMENTS[index]))[:2]
    assert [result["index"] for result in body["results"]] == longest
    assert body["usage"]["prompt_tokens"] == 9
    assert [call.path for call in pair[1].calls] == ["/v1/rerank"]
    assert pair[1].calls[0].body["documents"] == DOCUMENTS


def test_an_upstream_that_ranks_nothing_is_passed_over(start_gateway, pair):
    relay = start_gateway([gateway.backend(one.name, one.url) for one in pair])
    pair[0].behave(faults.no_scores())
    pair[1].behave(faults.scores())
    asked = {"model": "ranker", "query": QUESTION, "documents": DOCUMENTS}
    assert relay.post("/v1/rerank", asked).status == 200
    assert len(pair[1].calls) == 1
