"""The part of docs/openapi.yaml that the gRPC service's files say: its paths and its messages.

Made from proto/deepseek/v1 with protoc, comments included; test_openapi.py holds the document to
it.
"""

import pathlib
import re
import subprocess
import tempfile

from google.protobuf import descriptor_pb2

PROTO = "deepseek/v1"
PREFIX = "Rpc"  # of its schemas' names
_Field = descriptor_pb2.FieldDescriptorProto
_RULE = re.compile(
    r"((?: *//[^\n]*\n)+) *rpc (\w+)\((\w+)\) returns \((stream )?(\w+)\) \{\s*"
    r'option \(google\.api\.http\) = \{(get|post): "([^"]+)"'
)
_TYPES = {
    _Field.TYPE_STRING: {"type": "string"},
    _Field.TYPE_BOOL: {"type": "boolean"},
    _Field.TYPE_DOUBLE: {"type": "number"},
    _Field.TYPE_FLOAT: {"type": "number"},
    _Field.TYPE_INT32: {"type": "integer", "format": "int32"},
    _Field.TYPE_UINT32: {"type": "integer", "minimum": 0},
    # As protobuf's JSON has 64 bits: written as text, read as either.
    _Field.TYPE_INT64: {"type": ["string", "integer"]},
    _Field.TYPE_UINT64: {"type": ["string", "integer"]},
    _Field.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
}
_ERRORS = {
    "post": "400 bad_request, 401 no_key, 404 no_model, 405 bad_method, 413 too_large, "
    "415 bad_type, 429 queue_full, 500 mistake, 502 broken, 503 unavailable, 504 too_late",
    "get": "400 bad_request, 401 no_key, 405 bad_method, 500 mistake",
}


def _words(comment):
    lines = (line.strip().removeprefix("//").strip() for line in comment.splitlines())
    return " ".join(lines).strip()


def _quoted(text):
    return "'" + text.replace("'", "''") + "'"


def _inline(schema):
    """A small schema in YAML's flow form."""
    if isinstance(schema, dict):
        return "{" + ", ".join(f"{key}: {_inline(value)}" for key, value in schema.items()) + "}"
    if isinstance(schema, list):
        return "[" + ", ".join(_inline(value) for value in schema) + "]"
    if isinstance(schema, bool):
        return "true" if schema else "false"
    return _quoted(schema) if isinstance(schema, str) and not schema.isalnum() else str(schema)


def _descriptors(folder):
    with tempfile.NamedTemporaryFile() as out:
        files = [f"{PROTO}/request.proto", f"{PROTO}/answer.proto"]
        subprocess.run(
            ["protoc", f"-I{folder}", "--include_source_info", f"--descriptor_set_out={out.name}"]
            + files,
            check=True,
        )
        described = descriptor_pb2.FileDescriptorSet()
        described.ParseFromString(pathlib.Path(out.name).read_bytes())
    return described.file


def _reference(name):
    return {"$ref": f"#/components/schemas/{PREFIX}{name}"}


def _schema_of(field, maps):
    name = field.type_name.rsplit(".", 1)[-1]
    if name in maps:
        return {"type": "object", "additionalProperties": dict(_TYPES[maps[name].type])}
    is_message = field.type == _Field.TYPE_MESSAGE
    schema = _reference(name) if is_message else dict(_TYPES[field.type])
    if field.label == _Field.LABEL_REPEATED:
        return {"type": "array", "items": schema}
    return schema


def _message(message, comments, path, closed):
    maps = {nested.name: nested.field[1] for nested in message.nested_type}
    lines = [f"    {PREFIX}{message.name}:", "      type: object"]
    if closed:
        lines.append("      additionalProperties: false")
    if message.field:
        lines.append("      properties:")
    for index, field in enumerate(message.field):
        schema = _schema_of(field, maps)
        comment = comments.get((*path, 2, index), "")
        if comment and "$ref" not in schema:
            schema["description"] = comment
        lines.append(f"        {field.name}: {_inline(schema)}")
    return lines


def schemas(folder):
    """YAML of components/schemas."""
    lines = []
    for file in _descriptors(folder):
        comments = {
            tuple(place.path): _words(place.leading_comments)
            for place in file.source_code_info.location
        }
        asked = file.name.endswith("request.proto")
        for index, message in enumerate(file.message_type):
            lines += _message(message, comments, (4, index), asked)
    return "\n".join(lines) + "\n"


def _path(comment, name, asked, streams, answered, verb, path):
    summary = _words(comment).removesuffix(".")
    lines = [f"  {path}:", f"    {verb}:", f"      operationId: rpc{name}"]
    if name == "Health":
        lines.append("      security: []")
    lines += [
        f"      tags: [{'state' if verb == 'get' else 'answers'}]",
        f"      summary: {_quoted(summary)}",
        f"      description: '`{name}` of the gRPC service, as JSON.'",
    ]
    if verb == "post":
        lines += [
            "      parameters: *answer_parameters",
            "      requestBody:",
            "        required: true",
            "        content:",
            "          application/json:",
            f"            schema: {_inline(_reference(asked))}",
        ]
    lines += ["      responses:", "        '200':"]
    if streams:
        lines += [
            f"          description: 'Frames of one {PREFIX}{answered} each, then `[DONE]`.'",
            "          content:",
            "            text/event-stream: {}",
        ]
    else:
        lines += [
            "          description: All of it",
            "          content:",
            "            application/json:",
            f"              schema: {_inline(_reference(answered))}",
        ]
    for entry in _ERRORS[verb].split(", "):
        status, anchor = entry.split(" ")
        if (name, status) in (("Health", "401"), ("Health", "400"), ("ListModels", "400")):
            continue
        lines.append(f"        '{status}': *{anchor}")
    return lines


def paths(folder):
    """YAML of the paths."""
    text = (pathlib.Path(folder) / PROTO / "service.proto").read_text("utf-8")
    found = _RULE.findall(text)
    assert len(found) == text.count("rpc "), "a method has no annotation that is understood"
    lines = []
    for comment, name, asked, streams, answered, verb, path in found:
        lines += _path(comment, name, asked, bool(streams), answered, verb, path)
    return "\n".join(lines) + "\n"
