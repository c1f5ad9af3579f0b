"""The server does what docs/openapi.yaml says: requests made from the document, by schemathesis."""

import json

import hypothesis
import pytest
import schemathesis
from schemathesis.specs.openapi.checks import positive_data_acceptance, unsupported_method

from support.models import default_model
from support.server import ROOT, Server

EXAMPLES = 5  # requests of each endpoint
# Hypothesis is told to make the same requests each time.
SETTINGS = hypothesis.settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)
# What one field may be beside another no schema here says.
NOT_ALL_IS_IN_SCHEMAS = [positive_data_acceptance]


def without_aliases(document):
    """Paths that are other names of a path are not asked again."""
    paths = document["paths"]
    document["paths"] = {path: row for path, row in paths.items() if "$ref" not in row}
    return document


def with_nulls(document):
    """As its description says: what need not be given in a request may be null."""
    schemas = document["components"]["schemas"]
    done = set()

    def visit(node):
        if isinstance(node, list):
            for value in node:
                visit(value)
            return
        if not isinstance(node, dict):
            return
        name = str(node.get("$ref", "")).rsplit("/", 1)[-1]
        if name in schemas and name not in done:
            done.add(name)
            visit(schemas[name])
        for value in node.values():
            visit(value)
        properties = node.get("properties")
        if not isinstance(properties, dict):
            return
        for field, schema in properties.items():
            if field not in node.get("required", []):
                properties[field] = {"anyOf": [schema, {"type": "null"}]}

    for path in document["paths"].values():
        for operation in path.values():
            if isinstance(operation, dict) and "requestBody" in operation:
                visit(operation["requestBody"])
    return document


DOCUMENT = json.loads((ROOT / "docs/openapi.json").read_text("utf-8"))
SCHEMA = schemathesis.openapi.from_dict(with_nulls(without_aliases(DOCUMENT)))


@pytest.fixture(scope="module")
def small_server(tmp_path_factory):
    """One whose answers are short, whatever is asked for."""
    model = {"name": "small", "path": str(default_model()), "context_max": 96, "embeddings": True}
    file = tmp_path_factory.mktemp("document") / "small.yaml"
    file.write_text(json.dumps({"models": [model], "aliases": {"deepseek-chat": "small"}}), "utf-8")
    settings = {"limits.tokens_max": "16", "limits.choices_max": "2"}
    server = Server(("--config", file), settings)
    yield server
    assert server.stop() == 0


@SCHEMA.parametrize()
@SETTINGS
def test_answers_are_as_documented(case, small_server):
    response = case.call(base_url=small_server.url, timeout=60)
    excluded = list(NOT_ALL_IS_IN_SCHEMAS)
    if case.path == "/":  # a POST there is a base_url without its path: it finds nothing
        excluded.append(unsupported_method)
    case.validate_response(response, excluded_checks=excluded)
    assert response.status_code != 500, response.text
