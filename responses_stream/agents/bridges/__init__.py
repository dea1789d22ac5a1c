"""Bridges: an agent of a framework as a handler.

``from responses_stream.agents.bridges.pydantic_ai import bridge``, then ``server.response_handler(bridge(agent))``.
Each module needs the extra of its name, and imports its framework itself.
"""
