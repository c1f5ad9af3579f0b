"""The gRPC service as a client finds it that knows only its address: by reflection.

    with Service(rpc_target(server), key="sk-…") as service:
        answer = service.call("Chat", {"messages": [...]})
        for piece in service.call("StreamChat", {...}): ...

Requests are dictionaries as protobuf's JSON has them.
"""

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha import proto_reflection_descriptor_database as reflection

from support.waiting import PATIENCE_SECONDS

NAME = "deepseek.v1.DeepSeekService"
ON = {"grpc.enabled": "true", "grpc.port": "0"}


def rpc_target(server):
    entry = server.wait_for_log(
        lambda line: line.get("message") == "listening" and line.get("for") == "grpc",
        "the log line 'listening' for grpc",
    )
    return f"127.0.0.1:{int(entry['port'])}"


class Service:
    def __init__(self, target, key=None, credentials=None, options=()):
        self.channel = (
            grpc.secure_channel(target, credentials, options)
            if credentials
            else grpc.insecure_channel(target, options)
        )
        self.metadata = [("authorization", f"Bearer {key}")] if key else []
        database = reflection.ProtoReflectionDescriptorDatabase(self.channel)
        self.services = set(database.get_services())
        self.pool = descriptor_pool.DescriptorPool(database)
        self.methods = self.pool.FindServiceByName(NAME).methods_by_name

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()

    def message(self, method, fields):
        kind = message_factory.GetMessageClass(self.methods[method].input_type)
        return json_format.ParseDict(fields, kind())

    def callable(self, method):
        row = self.methods[method]
        answer = message_factory.GetMessageClass(row.output_type)
        make = self.channel.unary_stream if row.server_streaming else self.channel.unary_unary
        return make(
            f"/{NAME}/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString,
        )

    def call(self, method, fields=None, timeout=PATIENCE_SECONDS, metadata=()):
        """The answer's message, or the call of a stream."""
        sent = [*self.metadata, *metadata]
        request = self.message(method, fields or {})
        return self.callable(method)(request, timeout=timeout, metadata=sent)

    def refusal(self, method, fields=None, **more):
        """The error of a call, whole or streamed."""
        try:
            answer = self.call(method, fields, **more)
            if self.methods[method].server_streaming:
                list(answer)
        except grpc.RpcError as error:
            return error
        raise AssertionError(f"{method} was answered: {answer}")


def trailers(error):
    return dict(error.trailing_metadata() or ())


def asking(question, **more):
    return {"messages": [{"role": "user", "content": question}], **more}


def text_of(pieces):
    return "".join(choice.content for piece in pieces for choice in piece.choices)
