"""`RedisStore` keeps the whole contract, on a real server."""

from __future__ import annotations

from .shared_conformance import SharedConformance


class TestRedisStore(SharedConformance):
    engine = "redis"
