"""The engine without the server: its own link, spoken by a small client."""

import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import time

from support.server import _die_with_parent

ROOT = pathlib.Path(__file__).resolve().parents[2]


def messages():
    """The link's messages as Python classes, made by protoc."""
    with tempfile.TemporaryDirectory(prefix="deepseek-link-") as folder:
        subprocess.run(
            ["protoc", f"-I{ROOT / 'proto'}", f"--python_out={folder}",
             "deepseek/engine/v1/engine.proto"],
            check=True,
        )  # fmt: skip
        sys.path.insert(0, folder)
        from deepseek.engine.v1 import engine_pb2

        sys.path.remove(folder)
    return engine_pb2


class DirectEngine:
    """One engine process, started as a server started its own: `command` is that one's line."""

    def __init__(self, command):
        self.wire = messages()
        ours, theirs = socket.socketpair()
        arguments = list(command)
        arguments[arguments.index("--channel") + 1] = str(theirs.fileno())
        self.process = subprocess.Popen(
            arguments, pass_fds=[theirs.fileno()], preexec_fn=_die_with_parent,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        theirs.close()
        self.file = ours.makefile("rb")
        self.socket = ours
        self.number = 0
        while not self.read().HasField("ready"):
            pass

    def read(self):
        (size,) = struct.unpack(">I", self.file.read(4))
        message = self.wire.FromEngine()
        message.ParseFromString(self.file.read(size))
        return message

    def send(self, message):
        payload = message.SerializeToString()
        self.socket.sendall(struct.pack(">I", len(payload)) + payload)

    def streams(self, prompts, tokens):
        """Tokens per second of all prompts together, and each one's gaps between two tokens."""
        begun = time.perf_counter()
        last, gaps, running, count = {}, [], set(), 0
        for prompt in prompts:
            self.number += 1
            running.add(self.number)
            message = self.wire.ToEngine()
            submit = message.submit
            submit.request, submit.text, submit.tokens_max = self.number, prompt, tokens
            submit.sampling.temperature = 0
            submit.sampling.ignore_eos = True
            submit.count_prompt = True
            self.send(message)
        while running:
            step = self.read().step
            now = time.perf_counter()
            for event in step.events:
                if event.HasField("delta"):
                    if event.request in last:
                        gaps.append(now - last[event.request])
                    last[event.request] = now
                if event.HasField("finished"):
                    count += event.finished.completion_tokens
                    running.discard(event.request)
                if event.HasField("failed"):
                    raise RuntimeError(event.failed.message)
        return count / (time.perf_counter() - begun), gaps

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.socket.close()
