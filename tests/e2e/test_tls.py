"""TLS 1.3, and nothing older."""

import ssl
import subprocess
from http.client import HTTPException

import httpx
import openai
import pytest

from support import http


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1",
            "-keyout",
            folder / "key.pem",
            "-out",
            folder / "cert.pem",
        ],
        check=True,
        capture_output=True,
    )
    return folder


@pytest.fixture
def tls_server(start_server, certificate):
    return start_server(
        scheme="https",
        wait="listening",
        settings={
            "tls.certificate": certificate / "cert.pem",
            "tls.key": certificate / "key.pem",
        },
    )


@pytest.fixture
def trusting(certificate):
    return ssl.create_default_context(cafile=certificate / "cert.pem")


def wait_model(server, context):
    server.wait_for_log(lambda entry: "ready" in entry.get("message", ""), "the model is ready")
    assert http.request(server.url, "GET", "/ready", context=context).status == 200


def test_serves_the_sdk_over_tls_1_3(tls_server, trusting):
    wait_model(tls_server, trusting)
    with (
        httpx.Client(verify=trusting) as transport,
        openai.OpenAI(
            base_url=tls_server.url + "/v1", api_key="unused", http_client=transport, max_retries=0
        ) as client,
    ):
        stream = client.chat.completions.create(
            model="deepseek-chat",
            messages=[{"role": "user", "content": "Say hello."}],
            max_tokens=8,
            stream=True,
        )
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    with http.Exchange(tls_server.url, "GET", "/health", context=trusting) as exchange:
        assert exchange.connection.sock.version() == "TLSv1.3"
    assert tls_server.stop() == 0


def test_refuses_tls_1_2(tls_server, trusting):
    trusting.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises((ssl.SSLError, ConnectionError)):
        http.request(tls_server.url, "GET", "/health", context=trusting)
    trusting.maximum_version = ssl.TLSVersion.MAXIMUM_SUPPORTED
    assert http.request(tls_server.url, "GET", "/health", context=trusting).status == 200


def test_plain_http_at_the_tls_port_gets_nothing(tls_server, trusting):
    with pytest.raises((OSError, HTTPException)):
        http.request(tls_server.url.replace("https", "http"), "GET", "/health", timeout=20)
    assert http.request(tls_server.url, "GET", "/health", context=trusting).status == 200


def test_another_certificate_is_not_trusted(tls_server):
    with pytest.raises(ssl.SSLCertVerificationError):
        http.request(tls_server.url, "GET", "/health", context=ssl.create_default_context())
