"""Rooms include what src/include_table.txt allows, and libraries stay in their rooms."""

import pathlib
import re

from tidy import tree

_LLAMA = re.compile(
    r"^(llama(-cpp)?\.h|ggml.*\.h|gguf\.h|common\.h|chat\.h|sampling\.h|speculative\.h"
    r"|json-schema-to-grammar\.h|log\.h|arg\.h|peg-parser\.h|nlohmann/.*|jinja/.*)$")
_DATABASE = re.compile(r"^(sqlite3\.h|libpq.*|hiredis/.*|postgresql/.*)$")
_PURE_ROOMS = ("base", "protocol")


def table():
    allowed = {}
    for line in tree.text(pathlib.Path("src/include_table.txt")).splitlines():
        if line.strip() and not line.startswith("#"):
            room, rooms = line.split(":")
            allowed[room.strip()] = set(rooms.split())
    return allowed


def _sources():
    for path in tree.files(("src",), (".cpp", ".hpp")):
        yield path, path.parts[1]


def test_every_room_is_in_the_table():
    rooms = {room for _, room in _sources()}
    assert rooms <= set(table()), f"add to src/include_table.txt: {rooms - set(table())}"


def test_rooms_include_only_their_rooms():
    allowed, wrong = table(), []
    for path, room in _sources():
        for line, name in tree.includes(path):
            other = name.split("/")[0]
            if other not in allowed or other == room or "/" not in name:
                continue
            if other not in allowed[room] and "*" not in allowed[room]:
                wrong.append(f"{path}:{line}: {room} may not include {name}; it may include "
                             f"{' '.join(sorted(allowed[room])) or 'no other room'}")
    tree.complain(wrong)


def test_libraries_stay_in_their_rooms():
    wrong = []
    for path, room in _sources():
        inside_llama = path.parts[:3] == ("src", "engine", "llama")
        for line, name in tree.includes(path):
            if _LLAMA.match(name) and not inside_llama:
                wrong.append(f"{path}:{line}: {name}: only src/engine/llama knows llama.cpp")
            if "engine/llama/" in name and not inside_llama and path.name != "main.cpp":
                wrong.append(f"{path}:{line}: {name}: use the interface in src/engine instead")
            if _DATABASE.match(name) and room != "storage":
                wrong.append(f"{path}:{line}: {name}: only storage knows a database library")
            if name.startswith("boost/beast") and room != "io":
                wrong.append(f"{path}:{line}: {name}: only io knows Beast")
            if name.startswith(("grpc/", "grpcpp/")) and room != "io":
                wrong.append(f"{path}:{line}: {name}: only io knows gRPC")
            if name.endswith(".pb.h") and name.startswith(("deepseek/v1/", "google/api/")) \
                    and path.parts[:3] != ("src", "protocol", "rpc"):
                wrong.append(f"{path}:{line}: {name}: only src/protocol/rpc knows that code")
            if name.startswith("openssl/") and room not in ("io", "base"):
                wrong.append(f"{path}:{line}: {name}: only io knows OpenSSL")
    tree.complain(wrong)


def test_decisions_know_no_sockets():
    """base and protocol are pure."""
    wrong = []
    for path, room in _sources():
        for line, name in tree.includes(path):
            if room in _PURE_ROOMS and name.startswith(("boost/asio", "boost/beast", "sys/socket")):
                wrong.append(f"{path}:{line}: {name}: {room} is pure; put the shell into io")
    tree.complain(wrong)
