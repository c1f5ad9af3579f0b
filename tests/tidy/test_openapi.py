"""docs/openapi.yaml is valid, says what the gRPC service's files say, and is in openapi.json too.

`DEEPSEEK_UPDATE_FILES=1` writes what is made.
"""

import json
import os
import re

import yaml

from support import openapi_rpc
from support.server import ROOT

DOCUMENT = ROOT / "docs/openapi.yaml"
AS_JSON = ROOT / "docs/openapi.json"
UPDATES = "DEEPSEEK_UPDATE_FILES" in os.environ


def replaced(text, name, made):
    begin, end = f"# {name}: begin, made from proto/deepseek/v1", f"# {name}: end"
    pattern = re.compile(rf"( *{re.escape(begin)}\n).*?( *{re.escape(end)}\n)", re.DOTALL)
    assert len(pattern.findall(text)) == 1, f"{DOCUMENT} has no part between {begin} and {end}"
    return pattern.sub(lambda found: found[1] + made + found[2], text)


def made_document():
    text = DOCUMENT.read_text("utf-8")
    text = replaced(text, "paths of gRPC's methods", openapi_rpc.paths(ROOT / "proto"))
    return replaced(text, "messages of gRPC's methods", openapi_rpc.schemas(ROOT / "proto"))


def as_json():
    return json.dumps(yaml.safe_load(DOCUMENT.read_text("utf-8")), ensure_ascii=False) + "\n"


def test_the_grpc_service_is_in_the_document():
    made = made_document()
    if UPDATES:
        DOCUMENT.write_text(made, "utf-8")
    assert DOCUMENT.read_text("utf-8") == made, "run this test with DEEPSEEK_UPDATE_FILES=1"


def test_json_is_the_same_document():
    made = as_json()
    if UPDATES:
        AS_JSON.write_text(made, "utf-8")
    assert AS_JSON.read_text("utf-8") == made, "run this test with DEEPSEEK_UPDATE_FILES=1"


def references(node):
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref" and isinstance(value, str):
                yield value
            else:
                yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_references_lead_somewhere():
    document = yaml.safe_load(DOCUMENT.read_text("utf-8"))
    for reference in references(document):
        assert reference.startswith("#/"), reference
        node = document
        for part in reference[2:].split("/"):
            part = part.replace("~1", "/").replace("~0", "~")
            assert part in node, reference
            node = node[part]
    names = [row["operationId"] for path in document["paths"].values() for row in path.values()
             if isinstance(row, dict)]
    assert len(names) == len(set(names))
