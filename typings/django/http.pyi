from collections.abc import AsyncIterable, Iterable, Mapping

class HttpRequest:
    method: str | None
    body: bytes

class HttpResponseBase:
    status_code: int
    def __init__(
        self,
        content_type: str | None = ...,
        status: int | None = ...,
        reason: str | None = ...,
        charset: str | None = ...,
        headers: Mapping[str, str] | None = ...,
    ) -> None: ...

class HttpResponse(HttpResponseBase):
    def __init__(
        self,
        content: bytes | str = ...,
        content_type: str | None = ...,
        status: int | None = ...,
        reason: str | None = ...,
        charset: str | None = ...,
        headers: Mapping[str, str] | None = ...,
    ) -> None: ...

class StreamingHttpResponse(HttpResponseBase):
    def __init__(
        self,
        streaming_content: Iterable[bytes] | AsyncIterable[bytes] = ...,
        content_type: str | None = ...,
        status: int | None = ...,
        reason: str | None = ...,
        charset: str | None = ...,
        headers: Mapping[str, str] | None = ...,
    ) -> None: ...
