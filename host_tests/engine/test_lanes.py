"""What only the host can see of lanes.py: what it keeps alive, and the other core woken."""

import asyncio
import contextlib
import gc
import importlib.util
import sys
from array import array
from types import SimpleNamespace

import pytest
import ringlane
import ringlane.measure
from conftest import PACKAGE
from ringlane import NORMAL, Channel, lanes, registry
from ringlane.calls import make_look
from ringlane.request_reply import FAILED
from ringlane_host.simulate.source import Loader


class Guard:
    """One that excludes nobody."""

    def enter(self):
        return 0

    def leave(self, state):
        pass


CALLS = {
    "send": lambda ch, buf: ch.send(buf, NORMAL),
    "recv": lambda ch, buf: ch.recv(buf),
    "recv_words": lambda ch, buf: ch.recv_words(buf),
}


def keepers(buffers, number):
    """Return the lists, beside `buffers`, that hold that one of them."""
    found = gc.get_referrers(buffers[number])
    return [each for each in found if type(each) is list and each is not buffers]


@pytest.mark.parametrize("guarded", [False, True])
@pytest.mark.parametrize("verb", CALLS)
def test_what_a_verb_takes_for_checked_is_kept_until_another_comes(verb, guarded):
    # Else another object could come to lie at its address, and would not be checked.
    guard = Guard() if guarded else None
    ch = Channel(4, slot_size=4, send_guard=guard, recv_guard=guard)
    kept = []
    for number in range(3):
        ch.send_word(number, NORMAL)
        kept.append(array(*(("i", [0]) if verb == "recv_words" else ("B", bytes(4)))))
        CALLS[verb](ch, kept[-1])
        if verb == "recv_words":
            ch.recv(array("B", bytes(4)))  # is kept beside it
        assert keepers(kept, number)
    assert not keepers(kept, 0) and not keepers(kept, 1)


@pytest.mark.parametrize("guarded", [False, True])
def test_what_is_refused_is_not_kept(guarded):
    ch = Channel(4, slot_size=4, send_guard=Guard() if guarded else None)
    rpc = ringlane.RequestReplyChannel(1, 4)
    id = rpc.send_request(b"x")
    large = [bytearray(5) for _ in range(3)]
    assert not ch.send(large[0], NORMAL) and not rpc.send_response(id, large[1])
    rpc.cancel(id)
    assert not rpc.send_request(large[2])
    assert ch.rejected == 1 and rpc.rejected == 2
    assert not any(keepers(large, number) for number in range(3))


@pytest.mark.parametrize("guarded", [False, True])
def test_a_closed_channel_keeps_no_message(guarded):
    ch = Channel(4, slot_size=4, senders=2, send_guard=Guard() if guarded else None)
    sent = [bytearray(4) for _ in range(3)]
    for sender, data in zip((ch, ch.add_sender()), sent, strict=False):
        assert sender.send(data, NORMAL)
    ch.close()
    assert not ch.send(sent[2], NORMAL)
    assert not any(keepers(sent, number) for number in range(3))


def test_what_a_server_or_a_client_takes_for_checked_is_kept():
    ch = ringlane.RequestReplyChannel(1, 8)
    kept = []
    for number in range(2):
        id = ch.send_request(b"x")
        ch.recv_request(bytearray(8))
        kept += [bytearray(8), bytearray(8)]
        assert ch.send_response(id, kept[-2]) and ch.recv_response(id, kept[-1])
        assert keepers(kept, 2 * number) and keepers(kept, 2 * number + 1)
    assert not keepers(kept, 0) and not keepers(kept, 1)


async def use(ch, ends):
    """Let a channel and its ends do what may set attributes: wait, try, measure, close."""
    buf = bytearray(8)
    for end in ends:
        await end.ready(0)
        await end.arecv(buf, 0)
        await ringlane.select(end, timeout_ms=0)
        end.recv_wait(buf, 0)
    for sender in getattr(ch, "_senders", ()):
        if hasattr(sender, "asend"):
            await sender.asend(b"x", NORMAL, 0)
            sender.check(b"x", NORMAL)
            with contextlib.suppress(ValueError):  # a fan-out channel has none
                sender.trigger(NORMAL)
    if hasattr(ch, "call"):
        with pytest.raises(OSError):
            await ch.call(b"x", buf, 0)
    assert repr(ch)
    for end in (*ends, ch):
        if hasattr(end, "close"):
            end.close()


@pytest.mark.parametrize(
    "make, receives",
    [
        (lambda: Channel(2, 8, senders=2, stats=True), True),
        (lambda: Channel(2, 8, zero_copy=True), True),
        (lambda: Channel(2, 8, send_guard=Guard(), recv_guard=Guard()), True),
        (lambda: ringlane.MulticastChannel(2, None, 8, senders=2, stats=True), False),
        (lambda: ringlane.AnycastChannel(2, ringlane.RANDOM, 8, senders=2), False),
        (lambda: ringlane.RequestReplyChannel(2, 8), True),
    ],
)
def test_no_object_gets_an_attribute_after_its_constructor(make, receives):
    # A dictionary that grows loses for a moment what a handler looks up in it.
    ch = make()
    more = [ch.add_sender()] if ch.senders > 1 else []
    ends = [ch] if receives else [ch.add_receiver(), ch.add_receiver()]
    if getattr(ch, "_recv_guard", None):
        more.append(ch.add_receiver())
    before = [(end, set(vars(end))) for end in (ch, *ends, *more)]
    assert all(names for _, names in before)
    asyncio.run(use(ch, ends + [end for end in more if hasattr(end, "recv")]))
    for end, names in before:
        assert set(vars(end)) == names, end


def test_a_channel_that_is_half_made_is_in_no_report(monkeypatch):
    def fail(channel):
        raise MemoryError

    monkeypatch.setattr(ringlane.measure, "measure", fail)
    with pytest.raises(MemoryError):
        Channel(2, 8, name="half", stats=True)
    assert "half" not in registry.named
    whole = Channel(2, 8, name="half")
    assert registry.named["half"] is whole


def test_a_block_of_2_to_the_30_bytes_or_more_is_not_asked_for(monkeypatch):
    # Offsets in it are small ints. Nothing of that size is made here.
    asked = []

    def block(size):
        asked.append(size)
        raise MemoryError

    monkeypatch.setattr(lanes, "bytearray", block, raising=False)
    below, above = (65535, 16368), (65535, 16384)  # as capacity and slot_size
    assert Channel.memory(*below) < 1 << 30 < Channel.memory(*above) < 1 << 31
    for args in (below, above):
        with pytest.raises(MemoryError, match=f"needs {Channel.memory(*args)} bytes"):
            Channel(*args)
    assert asked == [Channel._bytes((below[0],), below[1], 1, 1)]
    monkeypatch.setattr(Channel, "_bytes", staticmethod(lambda *args: 1 << 30))
    with pytest.raises(MemoryError, match=f"needs {Channel._whole(1 << 30)} bytes"):
        Channel(*above)
    assert len(asked) == 1


@pytest.fixture
def rp2_port(monkeypatch):
    """port.py as an rp2 would import it, and how often it has masked interrupts, as a list."""
    masked = []
    machine = SimpleNamespace(
        disable_irq=lambda: len(masked), enable_irq=lambda state: masked.append(state)
    )
    monkeypatch.setitem(sys.modules, "machine", machine)
    monkeypatch.setattr(sys, "platform", "rp2")
    monkeypatch.setattr(sys.implementation, "_machine", "Pico with RP2040", raising=False)
    name, path = "ringlane.port_of_rp2", str(PACKAGE / "port.py")
    spec = importlib.util.spec_from_file_location(name, path, loader=Loader(name, path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module, masked


def test_an_rp2_wakes_its_other_core_by_masking_interrupts(rp2_port):
    module, masked = rp2_port
    module.send_event()
    module.send_event()
    assert masked == [0, 1]


def test_a_call_and_its_answer_wake_the_other_core(monkeypatch):
    woken = []  # each time, whether what had been asked was answered
    asked = []

    def is_over(id):
        return make_look(ch._receiver, array("I", [id]))(3, 1)

    monkeypatch.setattr(lanes, "send_event", lambda: woken.append(all(map(is_over, asked))))
    ch = ringlane.RequestReplyChannel(1, 8)
    with pytest.raises(OSError):
        ch.call_wait(b"x", bytearray(8), 0)
    assert len(woken) == 1  # with the request
    ch.recv_request(bytearray(8))
    for reply, status in ((b"y", 0), (5, 5), ("no bytes", FAILED), (bytes(9), FAILED)):
        del woken[:]
        id = ch.send_request(b"x")
        asked[:] = [id]
        requests = [ch.recv_request(bytearray(8)), False]
        monkeypatch.setattr(ch, "recv_wait", lambda buf, left=requests: left.pop(0), raising=False)
        ch.serve_wait(lambda request, reply=reply: reply)
        assert woken == [True] and ch.recv_response(id, bytearray(8))[1] == status


@pytest.mark.parametrize("pattern", ["Channel", "MulticastChannel", "RequestReplyChannel"])
def test_notify_and_close_wake_the_other_core(monkeypatch, pattern):
    woken = []
    monkeypatch.setattr(lanes, "send_event", lambda: woken.append(True))
    ch = getattr(ringlane, pattern)(2)
    ch.notify()
    assert len(woken) == 1
    ch.close()
    assert len(woken) == 2
