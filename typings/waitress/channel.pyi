import threading

from waitress.wasyncore import dispatcher

class HTTPChannel(dispatcher):
    last_activity: float
    outbuf_lock: threading.Condition
    total_outbufs_len: int

    def handle_close(self) -> None: ...
