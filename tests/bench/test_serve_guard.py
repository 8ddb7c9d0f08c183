"""`bench serve` answers only its own page, and only requests of a bounded size."""

from __future__ import annotations

import pytest
from starlette.websockets import WebSocketDisconnect

from bench.serve import guard
from bench.serve.app import Service
from bench.serve.guard import HEADERS, is_loopback, new_token
from bench.serve.pictures import Pictures
from bench.serve.server import Server
from tests.bench.serving import client

EMPTY = Service({}, Pictures())


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LOCALHOST"])
def test_its_own_page_may_ask(name: str) -> None:
    answer = client(EMPTY, name=name).get("/api/state")
    assert answer.status_code == 200
    assert answer.json()["models"] == []


@pytest.mark.parametrize(
    "host",
    ["evil.example:8765", "evil.example", "127.0.0.1:80", "127.0.0.1", "127.0.0.1:8765@evil.example", ""],
)
def test_a_name_that_was_rebound_to_this_machine_is_refused(host: str) -> None:
    answer = client(EMPTY).get("/api/state", headers={"host": host})
    assert answer.status_code == 421
    assert "another name" in answer.json()["error"]


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:9999", "file://"])
def test_the_requests_of_a_page_of_another_origin_are_refused(origin: str) -> None:
    answer = client(EMPTY).post("/api/pictures", content=b"x", headers={"origin": origin})
    assert (answer.status_code, answer.json()) == (403, {"error": "requests of other pages are refused"})
    own = client(EMPTY).post("/api/pictures", content=b"x", headers={"origin": "http://127.0.0.1:8765"})
    assert own.status_code == 400  # no picture


def test_a_picture_cannot_be_embedded_in_another_page() -> None:
    marks = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
    assert client(EMPTY).get("/api/state", headers=marks).status_code == 403
    assert client(EMPTY).get("/", headers={**marks, "sec-fetch-mode": "navigate"}).status_code == 200
    assert client(EMPTY).get("/api/state", headers={"sec-fetch-site": "same-origin"}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/api/state", "/static/main.js", "/nothing", "/api/tiles/x/0/0/0"])
def test_every_answer_forbids_foreign_and_inline_code(path: str) -> None:
    headers = client(EMPTY).get(path).headers
    assert {name: headers[name] for name in HEADERS} == HEADERS
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    refused = client(EMPTY).get(path, headers={"host": "evil.example"}).headers
    assert refused["content-security-policy"] == policy


def test_the_page_has_no_inline_code_and_no_address_of_another_machine() -> None:
    page = client(EMPTY).get("/").text
    assert "style=" not in page
    assert "<style" not in page
    assert "<script>" not in page
    assert " on" not in page.replace(" one", "").replace(" on this", "").replace(" on ", "")
    assert "//" not in page.replace("https://", "")


# ---- the token


def test_only_an_address_of_this_machine_needs_no_token() -> None:
    assert [is_loopback(host) for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost")] == [True] * 4
    assert [is_loopback(host) for host in ("0.0.0.0", "::", "192.168.0.7", "example.org", "")] == [False] * 5
    for host, needs in (("127.0.0.1", False), ("0.0.0.0", True)):
        server = Server(EMPTY, host)
        assert (server.token is not None) == needs
        assert ("?token=" in server.address) == needs
        server.close()


def test_without_its_token_a_server_for_others_answers_nothing() -> None:
    token = new_token()
    asks = client(EMPTY, "0.0.0.0", token, name="192.168.0.7")
    for path in (
        "/",
        "/api/state",
        "/static/main.js",
        "/?token=",
        "/?token=wrong",
        f"/api/state?token={token}",
        "/?token=é",
    ):
        assert asks.get(path).status_code == 401
    assert asks.get("/api/state", headers={"cookie": f"{guard.COOKIE}=wrong"}).status_code == 401
    assert asks.get("/api/state", headers={"cookie": "a b=c; \x7f"}).status_code == 401
    entry = asks.get(f"/?token={token}")
    assert (entry.status_code, entry.headers["location"]) == (303, "/")
    cookie = entry.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert asks.get("/api/state").status_code == 200  # the client kept the cookie


def test_tokens_are_long_random_and_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len({new_token() for _ in range(100)}) == 100
    assert len(new_token()) >= 43
    compared = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return False

    monkeypatch.setattr(guard.hmac, "compare_digest", compare)
    client(EMPTY, "0.0.0.0", "right", name="192.168.0.7").get("/?token=wrong")
    assert compared == [(b"wrong", b"right")]


@pytest.mark.parametrize(("name", "status"), [("192.168.0.7", 200), ("[::1]", 200), ("evil.example", 421)])
def test_a_server_for_all_addresses_has_no_names_of_others(name: str, status: int) -> None:
    asks = client(EMPTY, "0.0.0.0", "secret", name="192.168.0.7")
    headers = {"host": f"{name}:8765", "cookie": f"{guard.COOKIE}=secret"}
    assert asks.get("/api/state", headers=headers).status_code == status


# ---- sizes


def test_a_body_that_is_declared_or_sent_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "MAX_JSON_BYTES", 1 << 20)
    asks = client(EMPTY)
    large = b"x" * (1 << 20)
    declared = asks.post("/api/predict", content=large + b"x")
    chunked = asks.post("/api/predict", content=iter([large, large]))  # without a Content-Length
    for answer in (declared, chunked):
        assert (answer.status_code, answer.json()) == (413, {"error": "the request is larger than 1 MB"})
    assert asks.post("/api/predict", content=b"{}", headers={"content-length": "-1"}).status_code == 413
    assert asks.post("/api/predict", content=b"{}", headers={"content-length": "ten"}).status_code == 413


def test_web_sockets_are_refused() -> None:
    with pytest.raises(WebSocketDisconnect), client(EMPTY).websocket_connect("/api/state"):
        pass
