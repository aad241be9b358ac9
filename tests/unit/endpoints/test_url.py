"""Where a server is: what a URL may say, and what it may not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realign_daemon.endpoints.url import read_url


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://127.0.0.1:8080/v1/", "http://127.0.0.1:8080"),
        ("https://API.Example.com/v1", "https://api.example.com"),
        ("https://example.com:443/llm/v1", "https://example.com/llm"),
        ("http://[::1]:11434", "http://[::1]:11434"),
        ("http://gpu.lan/v1/v1", "http://gpu.lan"),
        ("http://gpu.lan/v1/chat/completions", "http://gpu.lan"),
        ("http://gpu.lan/llm/v1/models/", "http://gpu.lan/llm"),
        ("http://gpu.lan./models", "http://gpu.lan./models"),
    ],
)
def test_the_same_server_is_written_one_way(text: str, shown: str) -> None:
    assert str(read_url(text)) == shown
    assert read_url(shown) == read_url(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "127.0.0.1:8080",
        "file:///etc/passwd",
        "ftp://host/",
        "gopher://host",
        "http://",
        "http://host:0",
        "http://host:99999",
        "http://ho st/",
        "http://host/../admin",
        "http://host/a\r\nX: y",
        "http://host\r\nX: y",
        "http://host/%2e%2e",
        "http://" + "a" * 600,
        "http://" + "a" * 64 + ".lan",
        "http://a..b",
        "http://.lan",
    ],
)
def test_what_is_no_plain_web_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        read_url(text)


@pytest.mark.parametrize("text", ["http://me:sesame@host", "http://host/v1?key=sesame", "http://host/#sesame"])
def test_a_secret_in_a_url_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="api_key_env") as refused:
        read_url(text)
    assert "sesame" not in str(refused.value)


@given(st.text())
def test_no_text_makes_anything_but_a_url_or_a_refusal(text: str) -> None:
    try:
        url = read_url(text)
    except ValueError:
        return
    assert read_url(str(url)) == url
    assert str(url).isascii()
    assert str(url).isprintable()
