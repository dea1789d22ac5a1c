"""Thin adapters between the hosting engine and somebody's server, found by entry point."""
