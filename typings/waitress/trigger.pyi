from collections.abc import Callable, MutableMapping

from waitress.wasyncore import dispatcher

class trigger(dispatcher):  # noqa: N801  # the name is theirs
    def __init__(self, map: MutableMapping[int, dispatcher]) -> None: ...
    def pull_trigger(self, thunk: Callable[[], object] | None = None) -> None: ...
