"""How to say it: builders write a stream event by event, and cannot write it in a wrong order.

Start with `ResponseEventStream` in `responses_stream.builders.stream`, or with `TextResponse` for an answer that is
only text.
"""
