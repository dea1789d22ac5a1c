"""Hold any store to what `ResponseStore` promises: subclass `StoreConformance` in a test module of your own.

It needs no test runner in particular: its ``test_`` methods take nothing and assert. Each runs on every backend of
anyio that is named, with a store that was just made.
"""

from __future__ import annotations

from responses_stream.stores.conformance_items import ItemConformance
from responses_stream.stores.conformance_logs import LogConformance
from responses_stream.stores.conformance_owners import OwnerConformance


class StoreConformance(LogConformance, ItemConformance, OwnerConformance):
    """The whole contract of a store, as tests.

    Override `open_store`; where a store can be shared by processes, `open_pair` and `can_be_shared` too; where its
    clock can be moved, `make_time_pass` and `can_pass_time`.
    """
