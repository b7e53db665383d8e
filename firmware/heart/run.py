"""Run the heart demo on a board, by mpremote; its console appears here as it comes.

Runs on the host: `make demo`. The exit status is 0 if the demo ends with its verdict, else 1.
"""

import argparse
import importlib.util
import os
import signal
import sys
from pathlib import Path

import ringlane_host
from ringlane_host.boards.targets import TARGETS, BoardError, connect

HERE = Path(__file__).resolve().parent
PACKAGE = Path(ringlane_host.__file__).resolve().parent.parent / "ringlane"
FILES = "heart.py sampling.py detector.py summary.py ecg_mitdb208_360hz_60s.u16le".split()

_EMULATED_SECONDS = 4  # the emulated chip takes some 35 s for each
_SLOWEST = 60  # host seconds for one of the board's
_SET_UP_S = 120


def between(low, high):
    """Return the argparse type of an int in low..high."""

    def convert(text):
        if not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"must be {low} to {high}, not {text}")
        return int(text)

    return convert


def main():
    """Deploy and run; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", default="virtual", help=f"{TARGETS}; default: virtual")
    parser.add_argument("--uf2", help="firmware for the emulated RP2040")
    parser.add_argument(
        "--speed", type=between(1, 100), help="times real time; default: virtual 8, others 1"
    )
    parser.add_argument(
        "--seconds",
        type=between(3, 60),
        help=f"how much of the signal; default: rp2040 {_EMULATED_SECONDS}, others 60",
    )
    parser.add_argument("--watched", action="store_true", help="begin when somebody watches")
    options = parser.parse_args()
    speed = options.speed or (8 if options.target == "virtual" else 1)
    seconds = options.seconds or (_EMULATED_SECONDS if options.target == "rp2040" else 60)
    code = f"import heart\nheart.main({seconds}, {speed}, {options.watched})"
    sources = [PACKAGE, *(HERE / name for name in FILES)]
    # So that what was started for the board ends with this process.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with connect(options.target, options.uf2, sources=sources) as board:
            print(board.name, flush=True)
            return run(board, code, sources, timeout=_SET_UP_S + seconds * _SLOWEST)
    except (BoardError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def run(board, code, sources, timeout):
    """Run the demo and print what it prints; return 0 if it ended as it should.

    Where another terminal can look at its channels meanwhile, say how.
    """
    if importlib.util.find_spec("cobs") and os.name == "posix":
        from ringlane_host.link import hub

        def announce(port):
            print(f"to watch it, in another terminal: ringlane top {port}", flush=True)

        return hub.run(board, code, *sources, announce=announce, timeout=timeout)
    return 1 if board.run(code, *sources, timeout=timeout)[0] else 0


if __name__ == "__main__":
    sys.exit(main())
