"""How to run it: a handler goes in, and what it says comes out as SSE or as JSON, whatever server carries the bytes.

`server.ResponsesServer` is the front door. It knows no socket: a transport hands it an `http.HttpRequest` and sends
the `http.HttpReply` that it gets.
"""
