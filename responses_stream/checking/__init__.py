"""How to try it: somebody's handler is run without any server, in every mode and on every kind of input, and judged.

`runs.check_handler` is the front door. What the handler says is judged as it says it, before the engine mends what is
broken, and what a client would get is judged as well.
"""
