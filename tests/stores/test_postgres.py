"""`PostgresStore` keeps the whole contract, on a real server."""

from __future__ import annotations

from .shared_conformance import SharedConformance


class TestPostgresStore(SharedConformance):
    engine = "postgres"
