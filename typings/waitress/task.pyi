class ThreadedTaskDispatcher:
    threads: set[int]

    def set_thread_count(self, count: int) -> None: ...
