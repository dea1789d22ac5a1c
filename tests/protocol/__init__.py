"""Tests of `responses_stream.protocol`: what travels, and that nothing is lost on the way."""
