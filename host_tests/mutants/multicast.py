"""What the tests must find broken in multicast.py."""

from . import By

MUTANTS = {
    "skip_to_latest": {
        "counts what was for an earlier receiver": By(
            "interleavings", ("range(self._own() - 1)", "range(len(self) - 1)")
        ),
    },
}
