"""Watching a live API: a server that passes everything on, unchanged, and judges the streams that come back.

`responses_stream.tap.proxy.Tap` is an engine like `ResponsesServer`, so any transport serves it. It needs httpx, of the
extra ``client``.
"""
