"""What stops a start: exit status 2, and words that say what to do. And what a start needs not."""

import re
import socket
import struct

from support.models import default_model
from support.server import ROOT, run

CHAT = {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 2}


def refused(result, *words):
    """Exit status 2, and one line with all the words."""
    assert result.returncode == 2, (result.returncode, result.stderr)
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, result.stderr
    for word in words:
        assert str(word) in lines[0], f"{word!r} is missing in {lines[0]!r}"


def with_model(tmp_path, path):
    file = tmp_path / "server.yaml"
    file.write_text(
        f"models:\n  - name: broken\n    path: {path}\ndefault_model: broken\naliases: {{}}\n",
        "utf-8",
    )
    return ["--config", file, "--port", "0", "--set", "metrics.port=0"]


def test_missing_configuration_file():
    refused(run(["--config", "no/such.yaml"]), "no/such.yaml")


def test_unknown_key(tmp_path):
    file = tmp_path / "server.yaml"
    file.write_text("server:\n  prot: 80\n", "utf-8")
    refused(run(["--config", file]), f"{file}:2", "prot", "port")


def test_wrong_type(tmp_path):
    file = tmp_path / "server.yaml"
    file.write_text("server:\n  port: many\n", "utf-8")
    refused(run(["--config", file]), f"{file}:2", "many")


def test_out_of_bounds(tmp_path):
    file = tmp_path / "server.yaml"
    file.write_text("server:\n  port: 70000\n", "utf-8")
    refused(run(["--config", file]), f"{file}:2", "70000", "65535")


def test_unknown_flag():
    refused(run(["--prot", "80"]), "--prot")


def test_unknown_setting():
    refused(run(["--set", "server.prot=80"]), "server.prot", "server.port")


def test_port_in_use():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused(run(["--port", port, "--set", "metrics.port=0"]), port, "in use")


def test_metrics_port_in_use():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused(run(["--port", 0, "--set", f"metrics.port={port}"]), port, "in use")


def test_an_address_that_is_not_ours():
    refused(run(["--host", "192.0.2.1", "--port", 0]), "192.0.2.1")


def test_missing_model(tmp_path):
    refused(run(with_model(tmp_path, "/nowhere/model.gguf")), "/nowhere/model.gguf")


def test_model_that_is_no_gguf(tmp_path):
    model = tmp_path / "words.gguf"
    model.write_bytes(b"This is no model.\n" * 1000)
    refused(run(with_model(tmp_path, model)), model, "GGUF")


def test_empty_model(tmp_path):
    model = tmp_path / "empty.gguf"
    model.write_bytes(b"")
    refused(run(with_model(tmp_path, model)), model)


def test_cut_model(tmp_path):
    model = tmp_path / "cut.gguf"
    with default_model().open("rb") as whole:
        model.write_bytes(whole.read(20_000_000))
    refused(run(with_model(tmp_path, model)), model)


def test_model_cut_in_its_header(tmp_path):
    model = tmp_path / "cut.gguf"
    with default_model().open("rb") as whole:
        model.write_bytes(whole.read(1000))
    refused(run(with_model(tmp_path, model)), model)


def edited_header(tmp_path, old, new):
    """A copy of the model in which `old` in the header is `new` (as long)."""
    assert len(old) == len(new)
    model = tmp_path / "edited.gguf"
    data = default_model().read_bytes()
    at = data.index(old)
    assert at < 1_000_000
    model.write_bytes(data[:at] + new + data[at + len(old) :])
    return model


def test_unknown_architecture(tmp_path):
    key = b"general.architecture" + struct.pack("<IQ", 8, 5)
    model = edited_header(tmp_path, key + b"llama", key + b"lxyza")
    refused(run(with_model(tmp_path, model)), model, "lxyza")


def test_absurd_header_count(tmp_path):
    magic = b"GGUF" + struct.pack("<I", 3)
    data = default_model().read_bytes()
    tensors = data[8:16]
    model = edited_header(tmp_path, magic + tensors, magic + struct.pack("<Q", 2**62))
    refused(run(with_model(tmp_path, model)), model)


def test_missing_engine_program(tmp_path):
    refused(
        run(
            [
                "--port",
                0,
                "--set",
                "metrics.port=0",
                "--set",
                "engine.program=/nowhere/deepseek-engine",
            ]
        ),
        "/nowhere/deepseek-engine",
    )


def test_tls_files_that_are_missing():
    refused(
        run(
            [
                "--port",
                0,
                "--set",
                "tls.certificate=/nowhere/cert.pem",
                "--set",
                "tls.key=/nowhere/key.pem",
            ]
        ),
        "/nowhere/cert.pem",
    )


def test_no_configuration_at_all(start_server, tmp_path):
    """No file, no flag; the ports come from the environment, to leave the usual ones alone."""
    environment = {"DEEPSEEK_SERVER__PORT": "0", "DEEPSEEK_METRICS__PORT": "0"}
    server = start_server(port=None, extra_environment=environment, cwd=tmp_path)
    assert server.post("/v1/chat/completions", CHAT).status == 200
    assert server.get("/v1/models/gpt-4o").status == 200


def printed(*arguments, environment=None):
    """The configuration in effect, without the comments that say where each value came from."""
    result = run(["--print-config", *arguments], environment)
    assert result.returncode == 0, result.stderr
    return re.sub(r"\s+# .*$", "", result.stdout, flags=re.M)


def test_no_configuration_is_config_dev_yaml():
    assert printed() == printed("--config", "config/dev.yaml")


def test_printed_configuration_can_be_loaded_again(tmp_path):
    file = tmp_path / "printed.yaml"
    file.write_text(run(["--print-config", "--set", "server.port=1234"]).stdout, "utf-8")
    assert printed("--config", file) == printed("--set", "server.port=1234")


def test_a_file_that_leaves_things_out_keeps_the_rest(tmp_path):
    file = tmp_path / "server.yaml"
    file.write_text("server:\n  port: 9999\n", "utf-8")
    assert printed("--config", file) == printed().replace("port: 8080", "port: 9999")


def test_environment_overrides_the_file(tmp_path):
    file = tmp_path / "server.yaml"
    file.write_text("server:\n  port: 9999\n", "utf-8")
    arguments = ["--print-config", "--config", file]
    result = run(arguments, {"DEEPSEEK_SERVER__PORT": "7777"})
    assert "port: 7777" in result.stdout and "9999" not in result.stdout


def test_set_overrides_the_environment_and_a_flag_overrides_set():
    environment = {"DEEPSEEK_SERVER__PORT": "7777"}
    arguments = ["--print-config", "--set", "server.port=6666"]
    assert "port: 6666" in run(arguments, environment).stdout
    assert "port: 5555" in run([*arguments, "--port", "5555"], environment).stdout


def test_bad_environment_names_the_variable():
    refused(
        run(["--check-config"], {"DEEPSEEK_SERVER__PORT": "many"}), "DEEPSEEK_SERVER__PORT", "many"
    )


def test_system_ini(tmp_path):
    ini = tmp_path / "system.ini"
    ini.write_text(
        "[memory]\nmax_cache_size = 256MB\n\n[network]\nrpc_timeout = 90s\nbatch_size = 128\n",
        "utf-8",
    )
    result = run(["--print-config", "--system", ini])
    assert result.returncode == 0, result.stderr
    assert "max_cache_size: 256MB" in result.stdout
    assert re.search(r"rpc_timeout: (90s|1m30s|90000ms)", result.stdout)
    assert re.search(r"(prefill_chunk|batch_size): 128", result.stdout)


def test_system_ini_with_an_unknown_key(tmp_path):
    ini = tmp_path / "system.ini"
    ini.write_text("[memory]\nmax_cash_size = 256MB\n", "utf-8")
    refused(run(["--check-config", "--system", ini]), f"{ini}:2", "max_cash_size", "max_cache_size")


def test_the_names_of_the_articles_serve(start_server, tmp_path):
    ini = tmp_path / "system.ini"
    ini.write_text("[memory]\nmax_cache_size = 128MB\n[network]\nrpc_timeout = 60s\n", "utf-8")
    server = start_server("--system", ini, "--preload_model", "--enable_flash_attn")
    assert server.post("/v1/chat/completions", CHAT).status == 200


def test_secrets_are_never_printed(tmp_path):
    files = ["--set", f"tls.certificate={tmp_path}/a.crt", "--set", f"tls.key={tmp_path}/a.key"]
    password = ["--set", "tls.key_password=${TLS_WORD}"]
    result = run(["--print-config", *files, *password], {"TLS_WORD": "swordfish-77"})
    assert result.returncode == 0, result.stderr
    assert "swordfish-77" not in result.stdout + result.stderr


def test_check_config_says_ok():
    assert run(["--check-config", "--config", "config/dev.yaml"]).returncode == 0


def test_help_and_version():
    text = run(["--help"])
    assert text.returncode == 0
    for word in (
        "--config",
        "--system",
        "--set",
        "--host",
        "--port",
        "--preload_model",
        "--enable_flash_attn",
        "server.port",
        "memory.max_cache_size",
    ):
        assert word in text.stdout
    version = run(["--version"])
    assert version.returncode == 0 and re.search(r"\d+\.\d+\.\d+", version.stdout)


def test_generated_files_are_fresh():
    document = run(["--print-config-docs"])
    assert document.returncode == 0, document.stderr
    assert document.stdout == (ROOT / "docs/configuration.md").read_text("utf-8")


def test_text_logs(tmp_path):
    """Text is the default; a line has a time, a level, a room and a message."""
    result = run(
        ["--port", 0, "--set", "metrics.port=0", "--set", "engine.program=/nowhere/deepseek-engine"]
    )
    assert "/nowhere/deepseek-engine" in result.stderr
