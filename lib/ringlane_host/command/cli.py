"""The command line `ringlane`: install, run, flash and look at boards.

PORT is a serial port such as /dev/ttyACM0 or COM3; `virtual`, a board that is started for the
command; or with --uf2 FILE `rp2040`, an emulated Pico.
"""

import argparse
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from ringlane.names import CLASS_NAMES

from .. import boards, package
from ..boards.targets import STARTED, TARGETS, connect, run_in_place
from ..boards.virtual import BoardError, VirtualBoard
from ..boards.wires import Wires
from ..link import need
from . import doctor, flash, install

_KB = 1024
_SHOW = """
try:
    from ringlane.flight import show
except ImportError:
    raise SystemExit("no ringlane on this board: ringlane install PORT")
show({})
"""


def main(args=None):
    """Run the command of `args`, those of the process by default; return the exit status.

    0: done; 1: not, and stderr says why; 130: interrupted.
    """
    parser = _parser()
    options, rest = parser.parse_known_args(args)
    if not hasattr(options, "files") or any(each.startswith("-") for each in rest):
        parser.parse_args(args)  # says what is wrong
    else:
        options.files += map(Path, rest)  # argparse has none that come after an option
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return options.command(options) or 0
    except BrokenPipeError:  # as of `ringlane echo … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (BoardError, LookupError, OSError, boards.BoardFileError) as error:
        text = error.args[0] if isinstance(error, LookupError) else error
        print(f"ringlane {options.name}: {text}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser():
    parser = argparse.ArgumentParser(
        prog="ringlane",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"ringlane {package.version()}")
    commands = parser.add_subparsers(dest="name", required=True, metavar="COMMAND")

    def command(function, *, port=False, patterns=False):
        name = function.__name__.strip("_").replace("_", "-")
        text = function.__doc__.splitlines()[0]
        made = commands.add_parser(name, help=text, description=function.__doc__)
        made.set_defaults(command=function)
        if port:
            made.add_argument("port", metavar="PORT", help=TARGETS)
            made.add_argument("--uf2", help="firmware for the PORT rp2040")
        if patterns:
            made.add_argument(
                "--pattern",
                nargs="+",
                default=[],
                choices=sorted(package.patterns()),
                help="only these channels and what they need; default: all",
            )
            made.add_argument(
                "--with",
                dest="extras",
                nargs="+",
                default=[],
                choices=package.EXTRAS,
                help="beside --pattern these too, which it leaves out",
            )
        return made

    def program(made):
        made.add_argument(
            "files",
            metavar="FILE",
            type=Path,
            nargs="*",
            help="a program to run there, and what it imports; default: what runs there",
        )

    made = command(_install, port=True, patterns=True)
    made.add_argument("--py", action="store_true", help="the sources, not .mpy")
    command(_uninstall, port=True)
    made = command(_run, port=True)
    made.add_argument("file", metavar="FILE", type=Path, help="the program")
    made.add_argument("beside", metavar="FILE", type=Path, nargs="*", help="what it imports")
    made.add_argument(
        "--attach",
        metavar="SCRIPT",
        type=Path,
        help="for the PORT virtual: a Python file, whose function of the program's name is called "
        "with the board, to press buttons and play signals",
    )
    made = command(_board)
    made.add_argument("--uf2", help="emulate a Pico with this firmware; default: a virtual board")
    made.add_argument("--flash", help="the virtual board's file system, a folder")
    made = command(_mpy, patterns=True)
    made.add_argument("board", metavar="BOARD", help="a name in boards/")
    made.add_argument("--out", type=Path, default=Path("build"), help="default: build")
    made = command(_romfs, patterns=True)
    made.add_argument("board", metavar="BOARD", help="a name in boards/")
    made.add_argument("--py", action="store_true", help="the sources, not .mpy")
    made.add_argument("--out", type=Path, default=Path("build"), help="default: build")
    command(_size)
    made = command(_flash)
    made.add_argument("board", metavar="BOARD", help="a name in boards/")
    made.add_argument("port", metavar="PORT", help="the board's serial port")
    made.add_argument("firmware", metavar="FILE", nargs="?", help="a .uf2, or a .bin of an ESP32")
    made.add_argument("--dry-run", action="store_true", help="print the commands and run none")
    made = command(_doctor)
    made.add_argument("port", metavar="PORT", nargs="?", help=TARGETS)
    made.add_argument("--uf2", help="firmware for the PORT rp2040")
    command(_freeze, patterns=True)
    made = command(_post_mortem)
    made.add_argument("port", metavar="PORT", help="the board's serial port")
    made.add_argument("--file", help="what the program's FlightRecorder has as file=")
    made = command(_top, port=True)
    program(made)
    made.add_argument("--once", action="store_true", help="print the table once, and end")
    made.add_argument("--json", action="store_true", help="print all figures as JSON, and end")
    made.add_argument("--svg", type=Path, metavar="FILE", help="draw the table, and end")
    made.add_argument("--seconds", type=_seconds, default=1.0, help="how long to look first")
    made = command(_record, port=True)
    made.add_argument("out", metavar="OUT.mcap", type=Path)
    program(made)
    made.add_argument(
        "--seconds", type=_seconds, help="default: until Ctrl-C or the program's end"
    )
    for function in (_echo, _hz):
        made = command(function, port=True)
        made.add_argument("channel", metavar="CHANNEL", help="its name")
        program(made)
        made.add_argument("--seconds", type=_seconds, help="default: until Ctrl-C")
    made = command(_bridge, port=True)
    made.add_argument(
        "broker",
        metavar="mqtt://[USER[:PASSWORD]@]HOST[:PORT]",
        help="or mqtts://; without a password there, that of the environment's "
        "RINGLANE_MQTT_PASSWORD",
    )
    program(made)
    made.add_argument(
        "--ca", metavar="FILE", type=Path, help="who signed the broker's certificate"
    )
    made.add_argument(
        "--name", dest="called", metavar="NAME", help="the board's, in topics; default: the port's"
    )
    made.add_argument("--prefix", default="ringlane", help="of its topics; default: ringlane")
    made.add_argument(
        "--channel", action="append", default=[], help="only this one; may be repeated"
    )
    made.add_argument(
        "--qos1",
        choices=[*CLASS_NAMES, "none"],
        default="NORMAL",
        help="this class and the more urgent ones go with QoS 1; default: NORMAL",
    )
    made.add_argument(
        "--no-retain", action="store_true", help="the broker keeps no channel's newest message"
    )
    made.add_argument("--raw", action="store_true", help="the messages' bytes, instead of JSON")
    made.add_argument(
        "--buffer", metavar="FILE", type=Path, help="what waits is kept there, for the next bridge"
    )
    made.add_argument(
        "--buffer-mb",
        metavar="MB",
        type=float,
        default=64.0,
        help="what may wait, on disk; default: 64",
    )
    made.add_argument(
        "--mqtt",
        choices=["5", "3.1.1"],
        default="5",
        help="default: 5, and 3.1.1 where the broker has no more",
    )
    made.add_argument("--seconds", type=_seconds, help="default: until the end")
    made = command(_advise)
    made.add_argument("recording", metavar="OUT.mcap", type=Path)
    made = command(_replay)
    made.add_argument("recording", metavar="OUT.mcap", type=Path)
    made.add_argument(
        "target", metavar="FILE.py|PORT", help=f"a firmware, to be simulated, or {TARGETS}"
    )
    program(made)
    made.add_argument("--uf2", help="firmware for the PORT rp2040")
    made.add_argument(
        "--channel",
        help="its name; default: the only one of the recording, at a PORT all that are open there",
    )
    made.add_argument(
        "--speed", type=float, default=1.0, help="at a PORT: so many times faster; default: 1"
    )
    made.add_argument("--board", default="rpi_pico", help="to simulate; default: rpi_pico")
    return parser


def _seconds(text):
    if not 0 < float(text) < float("inf"):
        raise argparse.ArgumentTypeError(f"must be above 0, not {text}")
    return float(text)


def _wanted(options):
    # Without --pattern all of it is.
    return (*options.pattern, *options.extras) if options.pattern else ()


def _install(options):
    """Copy ringlane to a board's flash and import it there."""
    with connect(options.port, options.uf2) as board:
        print(board.name, flush=True)
        done = install.install(board, *_wanted(options), source=options.py)
    kind = ".py" if options.py else f".mpy for {board.architecture}"
    print(
        f"{len(done.files)} files ({kind}) in {install.PLACE}: {done.bytes / _KB:.1f} KB of flash"
    )
    for name, ram in done.ram.items():
        print(f"from ringlane import {name}: {ram / _KB:.1f} KB of RAM")


def _uninstall(options):
    """Remove ringlane from a board's flash."""
    with connect(options.port, options.uf2) as board:
        print(board.name, flush=True)
        found = install.uninstall(board)
    if found:
        print(f"removed {install.PLACE}: {len(found)} files, {sum(found.values()) / _KB:.1f} KB")
    else:
        print(f"there is no {install.PLACE}")


def _run(options):
    """Run a program on a board; nothing is left on it.

    The board reads the program, and this ringlane, from here. Further FILEs are what the program
    imports.
    """
    files = [options.file, *options.beside]
    for path in [*files, *filter(None, [options.attach])]:
        if not path.exists():
            raise FileNotFoundError(f"no file {path}")
    code = f"import {options.file.stem}"
    wires = None
    if options.attach:
        if options.port != "virtual":
            raise BoardError(f"--attach is for the PORT virtual, not {options.port}")
        wires = Wires()
        _attach(options.attach, options.file.stem, wires)
        code = f"from machine import wires\nwires.say({{'begins': 1}})\n{code}"
    sources = (package.FOLDER, *files)
    with connect(options.port, options.uf2, wires, sources) as board:
        print(board.name, flush=True)
        status, _ = board.run(code, *sources, out=sys.stdout.write)
    return 1 if status else 0


def _attach(script, name, wires):
    """Call the script's function `name`, with the wires, when the program begins."""
    try:
        function = runpy.run_path(str(script)).get(name)
    except Exception as error:
        raise BoardError(f"--attach {script}: {type(error).__name__}: {error}") from None
    if not callable(function):
        raise BoardError(f"{script} has no function {name}(board), as the program is called")
    wires.when_it_begins(lambda: function(wires))


def _board(options):
    """Start a board on this machine and print its port, until Ctrl-C."""
    if options.uf2:
        with connect("rp2040", options.uf2) as board:
            _announce(board.name, board.port)
            signal.pause()
    with VirtualBoard(options.flash) as board:
        _announce(f"virtual board, its flash in {board.flash}", board.port)
        board.wait()


def _announce(name, port):
    print(
        f"{name}\nat {port}\nCtrl-C ends it; try: mpremote connect {port} exec 'print(6 * 7)'",
        flush=True,
    )


def _mpy(options):
    """Compile ringlane for a board, to build/<arch>_6.3/ringlane."""
    board = boards.load(options.board)
    folder = options.out / f"{board.arch}_6.3" / "ringlane"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.mpy"):
        old.unlink()
    modules = package.modules(*_wanted(options))
    install.build(folder, modules, board.arch)
    (folder / "package.json").write_text(package.for_mip(*_wanted(options), suffix=".mpy"))
    sizes = {name: (folder / f"{name}.mpy").stat().st_size for name in modules}
    for name, size in sizes.items():
        print(f"{size:8,} {name}.mpy")
    print(f"{sum(sizes.values()):8,} bytes in {folder}, for {board.name}")


def _romfs(options):
    """Build a ROMFS image with ringlane, to build/<arch>_6.3.romfs.

    `mpremote romfs deploy` writes it to a board whose firmware has room for one; `import ringlane`
    finds it there.
    """
    board = boards.load(options.board)
    options.out.mkdir(parents=True, exist_ok=True)
    image = options.out / f"{board.arch}_6.3.romfs"
    with tempfile.TemporaryDirectory(prefix="ringlane-") as folder:
        inside = Path(folder) / "lib" / "ringlane"
        inside.mkdir(parents=True)
        modules = package.modules(*_wanted(options))
        install.build(inside, modules, None if options.py else board.arch)
        done = subprocess.run(
            [sys.executable, "-m", "mpremote", "romfs", "--no-mpy", "-o", image, "build", folder],
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise BoardError(f"mpremote romfs: {done.stdout}{done.stderr}")
    print(f"{image.stat().st_size:,} bytes in {image}, for {board.name}")
    print(f"mpremote connect PORT romfs deploy {image}")


def _size(options):
    """Print how many KB of flash each pattern takes as .mpy, by processor."""
    arches = sorted({boards.load(name).arch for name in boards.names()})
    rows = {name: package.modules(name) for name in package.patterns()}
    rows["all"] = package.modules()
    print(f"{'KB':16}" + "".join(f"{arch:>11}" for arch in arches))
    sizes = {arch: _sizes(arch) for arch in arches}
    for name, modules in rows.items():
        print(
            f"{name:16}"
            + "".join(f"{sum(sizes[a][m] for m in modules) / _KB:11.1f}" for a in arches)
        )


def _sizes(arch):
    with tempfile.TemporaryDirectory(prefix="ringlane-") as folder:
        install.build(folder, package.modules(), arch)
        return {path.stem: path.stat().st_size for path in Path(folder).iterdir()}


def _flash(options):
    """Put MicroPython onto a board, or print the commands that do."""
    board = boards.load(options.board)
    if options.dry_run or not options.firmware:
        print(flash.shown(board, options.port, options.firmware))
        if not options.dry_run:
            raise BoardError("nothing is flashed without FILE; above are the commands")
    else:
        flash.flash(board, options.port, options.firmware)


def _doctor(options):
    """Say what is here, what is missing, and whether the board at PORT is fit for ringlane."""
    found = doctor.here()
    if options.port:
        with connect(options.port, options.uf2) as board:
            found += doctor.of(board, options.port)
    for line, fine in found:
        print("  " if fine else "! ", line, sep="")
    return 0 if all(fine for _, fine in found) else 1


def _top(options):
    """Show the channels of a running board, live: q quits, s sorts.

    The program there serves a link: asyncio.create_task(ringlane.link.serve()).
    """
    need("rich", "cobs", "serial")
    from ..link.top import top

    return top(
        options.port,
        options.uf2,
        tuple(options.files),
        once=options.once,
        as_json=options.json,
        svg=options.svg,
        seconds=options.seconds,
    )


def _record(options):
    """Record what goes through the tapped channels of a board; Foxglove opens the file."""
    _commands().run_record(
        options.port, options.uf2, tuple(options.files), options.out, options.seconds
    )


def _echo(options):
    """Print the messages that are sent to a tapped channel, as they come."""
    files = tuple(options.files)
    _commands().run_echo(options.port, options.uf2, files, options.channel, options.seconds)


def _hz(options):
    """Print how often messages come to a tapped channel."""
    files = tuple(options.files)
    _commands().run_hz(options.port, options.uf2, files, options.channel, options.seconds)


def _bridge(options):
    """Bridge a board's tapped channels to an MQTT broker; at the end, say what became of all.

    A channel's messages go to ringlane/BOARD/CHANNEL. What the broker does not take yet waits on
    disk.
    """
    need("paho", "cobs", "serial", extra="mqtt")
    from ..mqtt.commands import Options, run_bridge

    qos_1 = -1 if options.qos1 == "none" else CLASS_NAMES.index(options.qos1)
    run_bridge(
        options.port,
        options.uf2,
        tuple(options.files),
        options.broker,
        Options(
            ca=options.ca,
            name=options.called,
            prefix=options.prefix,
            channels=options.channel,
            qos_1=qos_1,
            retain=not options.no_retain,
            raw=options.raw,
            buffer=options.buffer,
            limit=int(options.buffer_mb * 1e6),
            five=options.mqtt == "5",
            seconds=options.seconds,
        ),
    )


def _advise(options):
    """Say what capacity each lane of a recording would have needed to lose nothing."""
    _commands().run_advise(options.recording)


def _replay(options):
    """Send a recording into a board's channels, each message at its time.

    With FILE.py that firmware runs on a simulated board, and must not start what else sends to
    that channel. At a PORT a program runs, or the FILE behind it, that opens the channels by
    ringlane.remote.accept().
    """
    if not options.recording.is_file():
        raise FileNotFoundError(f"no file {options.recording}")
    if options.target.endswith(".py"):
        firmware = Path(options.target)
        if not firmware.is_file():
            raise FileNotFoundError(f"no file {firmware}")
        _commands().run_replay(options.recording, firmware, options.channel, options.board)
        return
    if not options.speed > 0:
        raise BoardError(f"--speed is above 0, not {options.speed:g}")
    _commands().run_replay_at(
        options.recording,
        options.target,
        options.uf2,
        tuple(options.files),
        options.channel,
        options.speed,
    )


def _post_mortem(options):
    """Print the last messages before a board was reset, as its FlightRecorder has kept them.

    The program that runs there is stopped, and no reset is made.
    """
    if options.port in STARTED:
        raise BoardError(f"post-mortem looks at a board that has run, by its port: {options.port}")
    file = repr(options.file) if options.file else ""
    print(run_in_place(options.port, _SHOW.format(file)), end="")


def _commands():
    need("cobs", "serial", "mcap")
    from ..link import commands

    return commands


def _freeze(options):
    """Print the line for a board's manifest.py that freezes ringlane into its firmware."""
    print(package.to_freeze(*_wanted(options)))


if __name__ == "__main__":
    sys.exit(main())
