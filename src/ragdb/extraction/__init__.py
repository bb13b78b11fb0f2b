"""From the bytes of a file to its text.

Text is decoded here, in the caller's process. Whatever needs a parser is handed to a process of its
own (`pool`, `worker`), which is locked in (`sandbox`) and may be lost.
"""
