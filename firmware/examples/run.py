"""Run an example on a board, by mpremote; its console appears here as it comes.

Runs on the host: `python firmware/examples/run.py encoder`. Nothing is left on the board. The exit
status is 0 if the example ends well, else 1.
"""

import argparse
import signal
import sys
from pathlib import Path

import ringlane_host
from ringlane_host.targets import TARGETS, BoardError, connect

HERE = Path(__file__).resolve().parent
PACKAGE = Path(ringlane_host.__file__).resolve().parent.parent / "ringlane"
EXAMPLES = sorted(path.stem for path in HERE.glob("*.py") if path.stem not in ("board", "run"))

_TIMEOUT_S = 600


def main():
    """Deploy and run; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("example", choices=EXAMPLES)
    parser.add_argument("--target", default="virtual", help=f"{TARGETS}; default: virtual")
    parser.add_argument("--uf2", help="firmware for the emulated RP2040")
    parser.add_argument(
        "--wired",
        action="store_true",
        help="with the hardware that the example names; default: with nothing attached",
    )
    options = parser.parse_args()
    arguments = "wired=True" if options.wired else ""
    # Ended from outside, it still ends what it started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with connect(options.target, options.uf2) as board:
            print(board.name, flush=True)
            status, _ = board.run(
                f"import {options.example}\n{options.example}.main({arguments})",
                PACKAGE,
                HERE / "board.py",
                HERE / f"{options.example}.py",
                timeout=_TIMEOUT_S,
            )
    except (BoardError, OSError) as error:
        print(f"example: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 1 if status else 0


if __name__ == "__main__":
    sys.exit(main())
