"""What the tests must find broken in request_reply.py."""

from . import By

MUTANTS = {
    "send_request": {
        "issues after the request": By(
            "interleavings",
            [
                ("        entry[_ISSUED] = id\n", ""),
                (
                    "        own[_FREE] = free\n",
                    "        entry[_ISSUED] = id\n        own[_FREE] = free\n",
                ),
            ],
        ),
        "a generation is used twice": (
            "generation = (before >> 8 & _GENERATIONS) + 1",
            "generation = before >> 8 & _GENERATIONS | 1",
        ),
    },
    "recv_request": {
        "the server gets a request that was given up": ("if not issued & _OVER and ", "if "),
    },
    "send_response": {
        "publishes before the payload": By(
            "interleavings",
            (
                "        target = int(entry) + _ENTRY_BYTES\n",
                "        entry[_REPLIED] = id\n        target = int(entry) + _ENTRY_BYTES\n",
            ),
        ),
        "a request is answered twice": (
            "entry[_ISSUED] != id or entry[_REPLIED] == id",
            "entry[_ISSUED] != id",
        ),
    },
}
