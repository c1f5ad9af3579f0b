"""The server from LangChain, by langchain-openai."""

import pydantic
import pytest
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

MODEL = "deepseek-chat"
QUESTION = [HumanMessage("Say hello.")]


class Mood(pydantic.BaseModel):
    """How somebody is."""

    model_config = pydantic.ConfigDict(extra="forbid")
    happy: bool
    reasons: int = pydantic.Field(ge=0, le=9)


@tool
def look(happy: bool) -> str:
    """Looks at somebody."""
    return "smiling" if happy else "frowning"


@pytest.fixture(scope="module")
def make_model(server, monkeypatch_module):
    monkeypatch_module.setenv("LANGSMITH_TRACING", "false")

    def make(**fields):
        return ChatOpenAI(
            base_url=server.url + "/v1",
            api_key="unused",
            model=MODEL,
            temperature=0,
            max_retries=0,
            **{"max_tokens": 16, **fields},
        )

    return make


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def test_whole_and_streamed(make_model):
    model = make_model()
    whole = model.invoke(QUESTION)
    assert whole.content
    assert whole.usage_metadata["total_tokens"] > whole.usage_metadata["output_tokens"] > 0
    assert "".join(chunk.content for chunk in model.stream(QUESTION)) == whole.content


@pytest.mark.asyncio
async def test_several_at_once(make_model):
    answers = await make_model().abatch([QUESTION] * 4)
    assert len({answer.content for answer in answers}) >= 1
    assert all(answer.content for answer in answers)


def test_a_call_and_its_result(make_model):
    model = make_model(max_tokens=200)
    asked = model.bind_tools([look], tool_choice="look", parallel_tool_calls=False).invoke(QUESTION)
    (call,) = asked.tool_calls
    assert call["name"] == "look" and isinstance(call["args"]["happy"], bool)
    result = ToolMessage(look.invoke(call["args"]), tool_call_id=call["id"])
    again = make_model(max_tokens=8).bind_tools([look], tool_choice="none")
    assert again.invoke([*QUESTION, asked, result]).content


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_an_object_of_a_schema(make_model, method):
    model = make_model(max_tokens=200).with_structured_output(Mood, method=method)
    answer = model.invoke(QUESTION)
    assert isinstance(answer, Mood)


def test_the_responses_api(make_model):
    model = make_model(use_responses_api=True)
    answer = model.invoke(QUESTION)
    assert answer.text


def test_embeddings(server):
    model = OpenAIEmbeddings(
        base_url=server.url + "/v1",
        api_key="unused",
        model=MODEL,
        check_embedding_ctx_length=False,
        max_retries=0,
    )
    one, two = model.embed_documents(["A cat.", "A dog."])
    assert len(one) == len(two) > 0
