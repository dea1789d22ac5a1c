"""Where to keep it: logs and responses that outlive their run, and with some stores the process.

`base` says what every store promises, `conformance` is how any store can be held to it. `memory.MemoryStore` keeps
everything in the process, `sqlite.SqliteStore` in one file that the processes of a machine share. A store keeps bytes:
it knows nothing of the JSON in them.
"""
