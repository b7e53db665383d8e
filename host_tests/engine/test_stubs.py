"""The .pyi stubs against the code; `make types` checks the rest of it with mypy's stubtest."""

import ast
import os
import re
import subprocess
import sys

import pytest
from conftest import PACKAGE, ROOT, STUBS

MODULES = sorted(path for path in PACKAGE.glob("*.py") if path.name != "manifest.py")


def definitions(parent, kind):
    """Return the classes or functions right in `parent`, by name."""
    return {node.name: node for node in parent.body if isinstance(node, kind)}


def module(name):
    folder = STUBS if name.endswith(".pyi") else PACKAGE
    return ast.parse((folder / name).read_text())


FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def stub_members(name):
    """Return what a class of the stubs has, its bases' included, by name."""
    for path in STUBS.glob("*.pyi"):
        found = definitions(module(path.name), ast.ClassDef).get(name)
        if found:
            break
    else:
        raise LookupError(f"no class {name} in a stub")
    members = {}
    for base in reversed(found.bases):
        if base.id not in ("NamedTuple", "Protocol", "IOBase"):
            members |= stub_members(base.id)
    members |= {node.target.id: node for node in found.body if isinstance(node, ast.AnnAssign)}
    return members | definitions(found, FUNCTIONS)


def test_every_module_has_a_stub():
    assert len(MODULES) > 5
    # No py.typed beside them: it could only say that some are missing.
    stubs = sorted(path.name for path in STUBS.iterdir())
    assert stubs == [path.with_suffix(".pyi").name for path in MODULES]


def test_the_root_has_the_names_of_its_stub(micropython):
    names = ast.literal_eval(micropython("import ringlane; print(ringlane.__all__)"))
    imported, listed = set(), set()
    for node in module("__init__.pyi").body:
        if isinstance(node, ast.ImportFrom):
            imported |= {alias.asname for alias in node.names}
        elif isinstance(node, ast.Assign):
            listed |= set(ast.literal_eval(node.value))
    assert imported == listed == set(names)


# This port's own cannot mask interrupts.
A_MACHINE = """import sys
class machine:
    disable_irq = enable_irq = int
sys.modules["machine"] = machine
"""
VIEWS = {"claim", "commit", "abort", "peek", "release"}  # with zero_copy=True only


@pytest.mark.parametrize(
    ("thing", "name", "lacks"),
    [
        ("PriorityChannel(4, zero_copy=True)", "PriorityChannel", set()),
        ("PriorityChannel(4)", "PriorityChannel", VIEWS),
        ("Channel(4, zero_copy=True)", "Channel", set()),
        ("Channel(4, stats=True, send_guard=LockGuard())", "Channel", VIEWS),
        ("Channel(4, recv_guard=LockGuard())", "Channel", VIEWS),
        ("Channel(4, recv_guard=LockGuard()).add_receiver()", "GuardedReceiver", set()),
        ("Channel(4, senders=2).add_sender()", "Sender", VIEWS),
        ("PriorityChannel(4, senders=2, zero_copy=True).add_sender()", "Sender", set()),
        ("MulticastChannel(4)", "MulticastChannel", set()),
        ("MulticastChannel(4, senders=2).add_sender()", "_FanoutSender", set()),
        ("MulticastChannel(4).add_receiver()", "MulticastReceiver", set()),
        ("AnycastChannel(4, RANDOM)", "AnycastChannel", set()),
        ("AnycastChannel(4, RANDOM, senders=2).add_sender()", "_FanoutSender", set()),
        ("AnycastChannel(4, RANDOM, stats=True).add_receiver()", "AnycastReceiver", set()),
        ("RequestReplyChannel(4)", "RequestReplyChannel", set()),
        ("Waiter(int)", "Waiter", set()),
        ("IrqGuard()", "IrqGuard", set()),
        ("LockGuard()", "LockGuard", set()),
        ("Clock('name', 1, __import__('time').ticks_us)", "Clock", set()),
        ("PriorityClass", "PriorityClass", set()),
        ("AnycastPolicy", "AnycastPolicy", set()),
        ("LatencyHistogram()", "LatencyHistogram", set()),
        ("LatencyHistogram().stats()", "LatencyStats", set()),
        ("Channel(4).counters()", "Counters", set()),
    ],
)
def test_an_object_has_the_names_of_its_stub(micropython, thing, name, lacks):
    members = sorted(each for each in stub_members(name) if not each.startswith("_"))
    program = (
        "from ringlane import *\nfrom ringlane.waiting import Waiter\n"
        f"thing, members = {thing}, {members}\n"
        "print([name for name in dir(thing) if name[0] != '_'])\n"
        "print([name for name in members if hasattr(thing, name)])"
    )
    if thing == "IrqGuard()":
        program = A_MACHINE + program
    listed, there = map(ast.literal_eval, micropython(program).splitlines())
    # Some are imported when they are asked for, so they are in no list.
    assert set(listed) <= set(members)
    assert set(members) - lacks == set(there)


def viper_verbs(file, factory):
    """Return the viper functions that a factory returns, one or in a tuple, by name."""
    outer = definitions(module(file), ast.FunctionDef)[factory]
    inner = definitions(outer, ast.FunctionDef)
    returned = outer.body[-1].value
    names = [each.id for each in getattr(returned, "elts", [returned]) if hasattr(each, "id")]
    verbs = {name: inner[name] for name in names}
    return {name: verb for name, verb in verbs.items() if verb.decorator_list}


@pytest.mark.parametrize(
    ("owner", "file", "factory", "count"),
    [
        ("Sender", "verbs.py", "make_sender", 2),
        ("Queue", "verbs.py", "make_sender", 2),
        ("Queue", "verbs.py", "make_receiver", 2),
        ("Sender", "guard.py", "_guarded_sends", 4),
        ("GuardedReceiver", "guard.py", "_guarded", 5),
        ("Sender", "zero_copy.py", "_make_claims", 3),
        ("Queue", "zero_copy.py", "_make_claims", 3),
        ("Queue", "zero_copy.py", "_make_peeks", 2),
        ("_FanoutSender", "fanout.py", "make_sender", 2),
        ("Fanout", "fanout.py", "make_sender", 2),
        ("FanoutReceiver", "verbs.py", "make_receiver", 2),
        ("RequestReplyChannel", "request_reply.py", "make_client", 3),
        ("RequestReplyChannel", "request_reply.py", "make_recv_request", 1),
        ("RequestReplyChannel", "request_reply.py", "make_send_response", 2),
        ("LatencyHistogram", "latency.py", "make_add", 1),
        ("LatencyHistogram", "latency.py", "make_reset", 1),
    ],
)
def test_the_verbs_take_and_return_what_their_stubs_say(owner, file, factory, count):
    stubs = stub_members(owner)
    kept = {"admit", "next_lane", "is_kept", "is_over"}  # by the end itself, under no such name
    verbs = {name: verb for name, verb in viper_verbs(file, factory).items() if name not in kept}
    assert len(verbs) == count
    for name, verb in verbs.items():
        stub = stubs[name]
        taken = stub.args.posonlyargs + stub.args.args  # self is the only one without a bar
        assert [each.arg for each in taken] == ["self", *(each.arg for each in verb.args.args)]
        assert len(stub.args.args) == (len(taken) == 1), f"{name}: positional arguments only"
        pairs = [*zip(taken[1:], verb.args.args, strict=True)]
        hints = [(mine.annotation, code.annotation) for mine, code in pairs]
        hints.append((stub.returns, verb.returns))
        for hint, annotation in hints:
            if annotation:  # viper's: int or bool
                assert ast.unparse(hint) == ast.unparse(annotation), name


@pytest.mark.parametrize(
    ("call", "name"),
    [
        ("ch.ready()", "Channel"),
        ("ch.arecv(buf)", "Channel"),
        ("ch.recv_wait(buf, 0)", "Channel"),
        ("ch.asend(b'', 0)", "Channel"),
        ("ch.add_sender().asend(b'', 0)", "Sender"),
        ("many.asend(b'', 0)", "MulticastChannel"),
        ("many.add_sender().asend(b'', 0)", "_FanoutSender"),
        ("end.arecv(buf)", "MulticastReceiver"),
        ("end.close()", "MulticastReceiver"),
        ("rpc.arecv(buf)", "RequestReplyChannel"),
        ("rpc.call(b'', buf)", "RequestReplyChannel"),
        ("rpc.serve(len)", "RequestReplyChannel"),
    ],
)
def test_what_is_to_be_awaited_has_a_stub_that_says_so(micropython, call, name):
    program = (
        "from ringlane import Channel, MulticastChannel, RequestReplyChannel\n"
        "ch, many = Channel(4, senders=2), MulticastChannel(4, senders=2)\n"
        "end, rpc, buf = many.add_receiver(), RequestReplyChannel(4), bytearray(32)\n"
        f"print(hasattr({call}, 'send'))"
    )
    stub = stub_members(name)[re.search(r"(\w+)\([^()]*\)$", call)[1]]
    awaited = isinstance(stub, ast.AsyncFunctionDef)
    awaited |= ast.unparse(stub.returns).startswith(("Coroutine", "Waiter"))
    assert micropython(program) == f"{awaited}\n"


PLANTED = """
import asyncio
from array import array
from ringlane import (
    AFFINITY_FIRST, HIGH, RANDOM, AnycastChannel, AnycastPolicy, Channel, Clock, IrqGuard,
    LatencyHistogram, LockGuard, MulticastChannel, PriorityChannel, PriorityClass,
    RequestReplyChannel, cycles, report, select,
)

ch = PriorityChannel(16, slot_size=32, name="planted", clock=cycles())
ch = PriorityChannel((1, 2, 3, 4, 5))
PriorityChannel((1, 2, 3, 4))  # wrong
PriorityChannel("16")  # wrong
Channel(64, senders=2)
Channel((1, 2, 3, 4, 5))  # wrong
Channel(64, clock="us")  # wrong
Clock("name", 1000, "ticks")  # wrong
buf = bytearray(32)
sent: bool = ch.send(b"", HIGH)
ch.send(memoryview(buf)[1:3], PriorityClass.BULK)
ch.send("text", HIGH)  # wrong
ch.send(None, HIGH)  # wrong
ch.send(b"x")  # wrong
ch.send(b"x", priority=HIGH)  # wrong
ch.send(b"x", "HIGH")  # wrong
ch.add_sender().send_word("x", HIGH)  # wrong
ch.send_word(3, HIGH)
ch.send_at(b"x", HIGH)  # wrong
ch.send_at(b"x", HIGH, ticks=3)  # wrong
ch.recv(b"constant")  # wrong
ch.recv()  # wrong
while m := ch.recv(buf):
    size, priority, latency = m
size, priority, latency = ch.recv(buf)  # wrong
ch.recv_words(array("I", [0] * 8))
ch.recv_words(buf)  # wrong
ch.dropped = 0  # wrong
ch.counters()[6]  # wrong
ch.counters().high_water
ch.counters().latency  # wrong
ch.clock.us(ch.timestamp())
ch.nothing()  # wrong
report()


class MyGuard:
    def enter(self) -> int:
        return 1

    def leave(self, state: int) -> None: ...


class HalfAGuard:
    def enter(self) -> int:
        return 1


Channel(8, send_guard=IrqGuard(), recv_guard=LockGuard()).add_receiver().recv_word()
PriorityChannel(8, send_guard=MyGuard())
Channel(8, send_guard=HalfAGuard())  # wrong
Channel(8, send_guard=IrqGuard)  # wrong
Channel(8, send_guard=LockGuard)  # wrong
PriorityChannel(8, recv_guard="irq")  # wrong
PriorityChannel(8, 32, 1, None, None, None, None, True, True, 0)  # wrong
Channel(8, zero_copy=None)  # wrong
IrqGuard("mask")  # wrong

zero = Channel(4, slot_size=512, zero_copy=True)
if (view := zero.claim(HIGH)) is not None:
    view[0] = 1
    sent = zero.commit(HIGH, 512)
zero.claim(HIGH)[0] = 1  # wrong
zero.claim(priority=HIGH)  # wrong
zero.commit(HIGH)  # wrong
zero.commit(HIGH, b"x")  # wrong
zero.abort(HIGH, 0)  # wrong
if m := zero.peek():
    zero.view[: m[0]]
zero.peek(buf)  # wrong
zero.release().size  # wrong
zero.add_sender().claim("HIGH")  # wrong

many = MulticastChannel(8, max_lag=4, max_receivers=3)
MulticastChannel()  # wrong
MulticastChannel(8, zero_copy=True)  # wrong
MulticastChannel(8, 4, 32, 3, 1, None, None, False, None, None)  # wrong
logger = many.add_receiver("logger", max_lag=2)
many.add_receiver(7)  # wrong
many.add_receiver("logger", core=1)  # wrong
took: int = many.send(b"x", HIGH)
sent = many.send(b"x", HIGH)  # wrong
many.send("x", HIGH)  # wrong
many.send(data=b"x", priority=HIGH)  # wrong
many.recv(buf)  # wrong
many.add_sender(1)  # wrong
many.add_sender().claim(HIGH)  # wrong
sent = many.add_sender().send_word(1, HIGH)  # wrong
logger.recv(b"constant")  # wrong
logger.lag + logger.dropped + logger.skip_to_latest() + logger.close()
logger.pending  # wrong
logger.lag = 0  # wrong
many.receivers[0].lag

pool = AnycastChannel(8, RANDOM, slot_size=64)
AnycastChannel(8, AnycastPolicy.AFFINITY_FIRST)
AnycastChannel(8)  # wrong
AnycastChannel(8, "random")  # wrong
AnycastChannel(8, 32)  # wrong
AnycastChannel(8, policy=None)  # wrong
AnycastChannel(8, AFFINITY_FIRST, max_lag=4)  # wrong
pool.add_sender(core=1).send_word_at(1, HIGH, 2)
pool.add_sender("1")  # wrong
pool.add_sender(core=1).send_word_at(1, HIGH)  # wrong
pool.send_word(b"x", HIGH)  # wrong
worker = pool.add_receiver("worker", core=1)
pool.add_receiver(core=1.5)  # wrong
worker.load_factor * worker.pending * worker.processed
worker.skip_to_latest()  # wrong
worker.pending()  # wrong

rpc = RequestReplyChannel(4, slot_size=16)
RequestReplyChannel(4, senders=2)  # wrong
RequestReplyChannel(4, 16, None, None, None, None, True, True)  # wrong
id = rpc.send_request(b"x")
rpc.send_request(b"x", HIGH)  # wrong
rpc.send_request("x")  # wrong
rpc.send(b"x", HIGH)  # wrong
rpc.recv_word()  # wrong
if r := rpc.recv_response(id, buf):
    size, status, latency = r
size, status, latency = rpc.recv_response(id, buf)  # wrong
rpc.recv_response(buf, id)  # wrong
rpc.recv_response(id=id, buf=buf)  # wrong
rpc.cancel()  # wrong
sent = rpc.send_response(id, b"")
rpc.send_response(id, "x")  # wrong
rpc.send_response(b"x")  # wrong
rpc.send_status(id, b"")  # wrong
rpc.send_status(id, b"", 0)
size, status, latency = rpc.call_wait(b"x", buf, 50)
rpc.call_wait(b"x", b"constant")  # wrong
rpc.serve_wait(lambda request: bytes(request))
rpc.serve_wait(lambda request: (3, request))
rpc.serve_wait(lambda request: "text")  # wrong
rpc.serve_wait(b"x")  # wrong
rpc.check(b"x", HIGH)  # wrong
rpc.stats().p99_latency


async def reply(request: memoryview) -> int:
    return request[0]


async def reply_in_text(request: memoryview) -> str:
    return "text"


async def wait() -> None:
    ready: bool | None = await ch.ready(100)
    ready_at_last: bool = await ch.ready(100)  # wrong
    ch.ready().send(None)
    if m := await ch.arecv(buf, timeout_ms=100):
        size, priority, latency = m
    if (m := await ch.arecv(buf, timeout_ms=100)) is not None:
        size, priority, latency = m  # wrong
    if m := ch.recv_wait(buf, 100):
        size, priority, latency = m
    size, priority, latency = await logger.arecv(buf)  # wrong
    size, priority, latency = ch.arecv(buf)  # wrong
    await ch.arecv()  # wrong
    await ch.arecv(buf, "100")  # wrong
    await ch.recv_wait(buf, 100)  # wrong
    sent: bool = await ch.asend(b"x", HIGH)
    took: int = await many.asend(b"x", HIGH, 100)
    sent = await many.asend(b"x", HIGH)  # wrong
    await ch.asend("x", HIGH)  # wrong
    await ch.asend(b"x")  # wrong
    size, status, latency = await rpc.call(b"x", buf)
    await rpc.call("x", buf)  # wrong
    await rpc.call(b"x", buf, 1.5)  # wrong
    await asyncio.gather(ch.ready(), logger.ready(), rpc.serve(reply))
    await rpc.serve(reply_in_text)  # wrong
    await rpc.serve_wait(len)  # wrong
    end = await select(ch, zero)
    end.send(b"x", HIGH)  # wrong
    while end := await select(ch, zero):
        end.send(b"x", HIGH)
    while one := await select(ch, rpc, logger):
        one.recv(buf)
        one.recv_word()  # wrong
    if (late_or_over := await select(ch, logger, timeout_ms=5)) is not None:
        late_or_over.recv(buf)  # wrong
    if in_time := await select(ch, logger, timeout_ms=5):
        in_time.recv(buf)
    late = await select(ch, logger, timeout_ms=5)
    late.recv(buf)  # wrong
    late_of_three = await select(ch, rpc, logger, timeout_ms=5)
    late_of_three.recv(buf)  # wrong
    late_of_several = await select(ch, ch, ch, ch, timeout_ms=5)
    late_of_several.recv(buf)  # wrong
    while several := await select(ch, ch, ch, ch):
        several.send(b"x", HIGH)
    await select(ch, many)  # wrong
    await select(ch, 5)  # wrong
    await select([ch, logger])  # wrong
    select(ch, logger).recv(buf)  # wrong


histogram = LatencyHistogram()
histogram.add(3)
histogram.add(ticks=3)  # wrong
histogram.stats().avg_latency
histogram.stats().average  # wrong
histogram.stats_into(array("I", [0] * 5))
histogram.stats_into(buf)  # wrong
count, average, p50, p99, most = Channel(4, stats=True).stats()
count, average = Channel(4, stats=True).stats()  # wrong
ch.stats_into()  # wrong
logger.stats()[5]  # wrong
"""


def test_a_type_checker_finds_every_planted_error(tmp_path):
    pytest.importorskip("mypy", reason="no mypy: pip install mypy")
    (tmp_path / "planted.py").write_text(PLANTED)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", tmp_path / "cache", tmp_path / "planted.py"],
        cwd=ROOT,  # for the configuration in pyproject.toml
        env=dict(os.environ, PYTHONPATH=str(STUBS.parent)),
        capture_output=True,
        text=True,
        check=False,
    )
    found = {int(each) for each in re.findall(r"planted\.py:(\d+): error", done.stdout)}
    lines = PLANTED.splitlines()
    wrong = {number for number, line in enumerate(lines, 1) if line.endswith("# wrong")}
    assert len(wrong) > 100
    assert found == wrong, done.stdout + done.stderr
