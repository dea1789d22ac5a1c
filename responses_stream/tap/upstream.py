"""Where everything goes: the address of the upstream, and the URL of each request there.

What a client writes behind the address of the tap stands behind the address of the upstream, character for character.
"""

from __future__ import annotations

import ipaddress
from typing import Final

import attrs
import httpx

from responses_stream.errors import InvalidValue

_SHAPE: Final = "has to be like https://api.example.com or https://api.example.com/v1"


class _Exact(httpx.URL):
    """A URL that is asked for as it was written; httpx alone would resolve ``..`` and escape what it thinks odd."""

    def __init__(self, base: httpx.URL, target: str) -> None:
        super().__init__(base)
        self._target = target.encode("ascii")

    @property
    def raw_path(self) -> bytes:
        return self._target


@attrs.frozen
class Upstream:
    """An address that requests are passed on to.

    Attributes:
        url: the address; its path stands before the path of each request.
    """

    url: httpx.URL

    @classmethod
    def at(cls, address: str) -> Upstream:
        """Return the upstream at *address*.

        Raises:
            InvalidValue: it is no URL of http or https, or has more to it than a host, a port and a path.
        """
        try:
            url = httpx.URL(address)
        except httpx.InvalidURL as error:
            raise InvalidValue("upstream", f"{_SHAPE}: {error}") from None
        if url.scheme not in ("http", "https") or not url.host:
            raise InvalidValue("upstream", f"{_SHAPE}, got {address!r}")
        if url.userinfo or url.query or url.fragment:
            # Not shown: what stands there is likely a secret.
            raise InvalidValue("upstream", f"{_SHAPE}; credentials and parameters come from the client")
        return cls(url)

    @property
    def host(self) -> bytes:
        """What stands in the header `host`."""
        return self.url.netloc

    @property
    def is_near(self) -> bool:
        """Whether it is on this machine, where a proxy of the environment has no business."""
        try:
            return ipaddress.ip_address(self.url.host).is_loopback
        except ValueError:
            return self.url.host == "localhost"

    def is_at(self, host: str, port: int) -> bool:
        """Whether what listens on *host* and *port* would be asked."""
        own = self.url.port or (443 if self.url.scheme == "https" else 80)
        return own == port and (self.url.host == host or self.is_near)

    def target(self, target: str) -> str:
        """Return what is asked of the upstream where a client asked the tap for *target*."""
        return target if target == "*" else self.url.raw_path.decode("ascii").rstrip("/") + target

    def ask(self, target: str) -> httpx.URL:
        """Return the URL for a client's *target*."""
        return _Exact(self.url, self.target(target))

    def show(self, target: str) -> str:
        """Return the URL for a client's *target*, for people; its secrets are still in it."""
        return f"{self.url.scheme}://{self.url.netloc.decode('ascii')}{self.target(target)}"

    def __str__(self) -> str:
        return self.show("").rstrip("/")
