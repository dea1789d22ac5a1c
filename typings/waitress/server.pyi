import socket
from collections.abc import MutableMapping, Sequence
from wsgiref.types import WSGIApplication

from waitress.task import ThreadedTaskDispatcher
from waitress.wasyncore import dispatcher

class BaseWSGIServer(dispatcher):
    task_dispatcher: ThreadedTaskDispatcher

class MultiSocketServer:
    task_dispatcher: ThreadedTaskDispatcher

def create_server(
    application: WSGIApplication,
    map: MutableMapping[int, dispatcher] | None = None,
    *,
    sockets: Sequence[socket.socket] = ...,
    threads: int = ...,
    connection_limit: int = ...,
    channel_timeout: int = ...,
    log_socket_errors: bool = ...,
    max_request_header_size: int = ...,
    max_request_body_size: int = ...,
    outbuf_high_watermark: int = ...,
) -> BaseWSGIServer | MultiSocketServer: ...
