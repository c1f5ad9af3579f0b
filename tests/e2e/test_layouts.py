"""Layouts of weights: what an operator is told of them, and that measuring happens once."""

import json
import pathlib

from support import http
from support.server import environment


def start_measuring(start_server, folder, **settings):
    # Without kernels that are forced on it, the engine measures.
    return start_server(
        settings={"data_dir": str(folder), **settings},
        extra_environment={"DEEPSEEK_KERNELS": ""},
    )


def engine(server):
    answer = http.request(server.metrics_url, "GET", "/admin/engine")
    assert answer.status == 200
    return answer.json()["engines"][0]


def layouts(server):
    return {layout["format"]: layout for layout in engine(server)["layouts"]}


def test_what_was_measured_is_told_and_kept(start_server, tmp_path):
    server = start_measuring(start_server, tmp_path)
    told = layouts(server)
    assert engine(server)["load_ms"] > 0
    assert told["q4_1"]["weights"] == 210
    for name in ("q4_1", "q8_0"):
        layout = told[name]
        assert layout["layout"] == "as_is" or layout["layout"].startswith("own (")
        assert (layout["packed_bytes"] > 0) == layout["layout"].startswith("own (")
        assert layout["speed"]["one"] > 0 and layout["speed"]["many"] > 0
    server.stop()
    file = tmp_path / "layouts.json"
    kept = json.loads(file.read_text("utf-8"))
    assert {entry["type"] for entry in kept["measured"]} == {"q4_1", "q8_0"}
    written = file.stat().st_mtime_ns
    again = start_measuring(start_server, tmp_path)
    assert file.stat().st_mtime_ns == written, "it measured again"
    assert layouts(again) == told


def test_a_damaged_file_of_measurements_is_made_anew(start_server, tmp_path):
    file = tmp_path / "layouts.json"
    file.write_text('{"machine": "AMD', "utf-8")
    server = start_measuring(start_server, tmp_path)
    assert layouts(server)["q4_1"]["speed"]["one"] > 0
    assert json.loads(file.read_text("utf-8"))["measured"]


def test_as_is_leaves_weights_alone(start_server, tmp_path):
    server = start_measuring(start_server, tmp_path, **{"engine.layout": "as_is"})
    assert layouts(server) == {}
    assert not pathlib.Path(tmp_path / "layouts.json").exists()


def test_forced_kernels_pack_every_weight_that_they_know(start_server):
    told = layouts(start_server())
    kernels = environment()["DEEPSEEK_KERNELS"]
    assert told["q4_1"]["layout"] == told["q8_0"]["layout"] == f"own ({kernels})"
    assert "speed" not in told["q4_1"]
