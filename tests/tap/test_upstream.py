"""The address of an upstream, and what stands behind it."""

from __future__ import annotations

import pytest

from responses_stream.errors import InvalidValue
from responses_stream.tap.upstream import Upstream


@pytest.mark.parametrize(
    ("address", "target", "url"),
    [
        ("https://api.example.com", "/v1/responses?a=b", "https://api.example.com/v1/responses?a=b"),
        ("https://api.example.com/", "/v1", "https://api.example.com/v1"),
        ("https://api.example.com/v1", "/responses", "https://api.example.com/v1/responses"),
        ("https://api.example.com/v1/", "//x/../y?", "https://api.example.com/v1//x/../y?"),
        ("HTTP://LOCALHOST:8080/a%2Fb", "/c", "http://localhost:8080/a%2Fb/c"),
        ("http://[::1]:1", "/", "http://[::1]:1/"),
    ],
)
def test_a_target_stands_behind_the_address(address: str, target: str, url: str) -> None:
    upstream = Upstream.at(address)
    assert upstream.show(target) == url
    assert url.endswith(upstream.ask(target).raw_path.decode())


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("api.example.com", "got 'api.example.com'"),
        ("ftp://api.example.com", "got 'ftp://api.example.com'"),
        ("https://", "got 'https://'"),
        ("https://api.example.com:x", "Invalid port"),
        ("https://user:secret@api.example.com", "credentials and parameters come from the client"),
        ("https://api.example.com?key=secret", "credentials and parameters come from the client"),
    ],
)
def test_what_is_no_address_is_refused(address: str, why: str) -> None:
    with pytest.raises(InvalidValue, match=r"https://api\.example\.com/v1") as refused:
        Upstream.at(address)
    assert why in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("address", "host", "port", "same"),
    [
        ("http://127.0.0.1:8089", "127.0.0.1", 8089, True),
        ("http://localhost:8089/v1", "0.0.0.0", 8089, True),
        ("http://127.0.0.1:8088", "127.0.0.1", 8089, False),
        ("https://api.example.com", "127.0.0.1", 443, False),
        ("http://tap.example.com", "tap.example.com", 80, True),
    ],
)
def test_a_tap_in_front_of_itself_is_noticed(address: str, host: str, port: int, same: bool) -> None:
    assert Upstream.at(address).is_at(host, port) == same


def test_what_is_on_this_machine_is_near() -> None:
    near = ["http://127.0.0.1", "http://localhost", "http://[::1]:80", "http://api.example.com", "http://10.0.0.1"]
    assert [Upstream.at(address).is_near for address in near] == [True, True, True, False, False]
    assert str(Upstream.at("http://localhost:80/v1/")) == "http://localhost/v1"
