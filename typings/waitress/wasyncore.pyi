from collections.abc import MutableMapping

class dispatcher:  # noqa: N801  # the name is theirs
    accepting: bool

    def close(self) -> None: ...

def loop(
    timeout: float = 30.0,
    use_poll: bool = False,
    map: MutableMapping[int, dispatcher] | None = None,
    count: int | None = None,
) -> None: ...
def close_all(map: MutableMapping[int, dispatcher] | None = None, ignore_all: bool = False) -> None: ...
