"""How to drive it from a shell."""
