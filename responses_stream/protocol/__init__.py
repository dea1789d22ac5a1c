"""What travels: typed events, items, content parts, requests, responses and errors, with nothing lost at the edges.

Start with `decode` and `encode`; the types are named as in the protocol and in the `openai` package.
"""
