"""What is too much, too slow or no request at all, over HTTP."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_server import Served, hash_encoders, serving

from tacit.serve.settings import Rates


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with pytest.MonkeyPatch.context() as patch:
        hash_encoders(patch)
        with serving(tmp_path_factory.mktemp("serve"), body_s=0.3) as served:
            yield served


MALFORMED = [
    b"",
    b"null",
    b"[]",
    b"{",
    b"[" * 50_000,
    b'{"a": ' * 10_000,
    b'{"events": 1, "consent": 1, "user": 1, "withdrawn": 1, "messages": 1, "session_id": 1}',
    b'{"user": "\\ud800", "messages": [], "events": []}',
    b"\xff\xfe\x00",
    b'{"user": NaN}',
    b'{"user": "x" "y"}',
]
TAKING = [
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/events"),
    ("POST", "/v1/session"),
    ("POST", "/v1/consent"),
    ("PUT", "/admin/items"),
]


@pytest.mark.parametrize("body", MALFORMED, ids=range(len(MALFORMED)))
def test_what_is_no_request_is_a_400_in_openai_s_form_everywhere(server: Served, body: bytes) -> None:
    for method, path in TAKING:
        response = server.admin.request(method, path, content=body)
        assert response.status_code == 400, (path, response.text)
        assert set(response.json()["error"]) == {"message", "type", "param", "code"}


def test_bodies_have_limits_declared_or_not(server: Served) -> None:
    for (method, path), most in zip(TAKING, (262_144, 65_536, 65_536, 65_536, 64 * 2**20), strict=True):
        if most > 2**20:
            continue
        pieces = (b" " * 4096 for _ in range(most // 4096 + 2))
        assert server.admin.request(method, path, content=pieces).status_code == 413  # chunked: no length is told
        assert server.admin.request(method, path, content=b" " * (most + 1)).status_code == 413


def raw(server: Served, text: bytes) -> bytes:
    """What the server says to bytes that come, and then to silence."""
    port = int(server.base.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(text)
        said = b""
        while b"\r\n\r\n" not in said and (more := connection.recv(65_536)):
            said += more
        return said


@pytest.mark.parametrize("length", [2**40, -1, "1e3"])
def test_a_length_that_is_too_large_or_none_is_refused_before_anything_is_read(
    server: Served, length: int | str
) -> None:
    token = server.admin.headers["authorization"]
    head = f"PUT /admin/items HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nContent-Length: {length}\r\n\r\n"
    assert raw(server, head.encode())[:12] in (b"HTTP/1.1 413", b"HTTP/1.1 400")


def test_a_body_that_does_not_come_is_given_up(server: Served) -> None:
    head = f"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.token}\r\nContent-Length: 100\r\n\r\n"
    assert raw(server, head.encode() + b'{"events').startswith(b"HTTP/1.1 408")
    assert server.http.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    "text", [b"\x16\x03\x01\x02\x00\x01\x00", b"GET / HTTP/9\r\n\r\n", b"\r\n" * 3 + b"nonsense\r\n\r\n"]
)
def test_what_is_not_http_is_refused_and_the_server_goes_on(server: Served, text: bytes) -> None:
    assert raw(server, text + b"\r\n\r\n").startswith(b"HTTP/1.1 400")
    assert server.http.get("/healthz").json() == {"ok": True}


def test_who_asks_too_often_is_told_when_to_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Buckets of 4 for a session and 6 for a server's token, which hardly fill."""
    hash_encoders(monkeypatch)
    slow = Rates(session_per_s=0.01, session_burst=4, token_per_s=0.02, token_burst=6)
    with serving(tmp_path, rates=slow) as server:
        browser, _ = server.browser()  # agreeing is one of the four
        for _ in range(3):
            assert browser.get("/v1/models").status_code == 200
        for method, path in (("GET", "/v1/models"), ("POST", "/v1/chat/completions"), ("POST", "/v1/events")):
            refused = browser.request(method, path, json={})
            assert refused.status_code == 429 and refused.json()["error"]["type"] == "rate_limit_error"
            assert 1 <= int(refused.headers["retry-after"]) <= 100
        other, _ = server.browser()
        assert other.get("/v1/models").status_code == 200
        statuses = [server.api.get("/v1/models").status_code for _ in range(7)]
        assert statuses == [200] * 6 + [429]
        text = server.admin.get("/metrics").text
        assert 'tacit_shed_total{reason="rate"} 4.0' in text


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_probe_may_ask_without_a_body(server: Served, path: str) -> None:
    answer, told = server.http.head(path), server.http.get(path)
    assert answer.status_code == told.status_code == 200 and answer.content == b""
    assert answer.headers["content-length"] == told.headers["content-length"]
