"""Firmware under ringlane.debug(): what keeps the rules, and what breaks one in a known way.

Each function prints what was found. handlers() needs hard timers, guards() those of a chip, which
come within a verb, threads() a second thread or core; right() runs anywhere, its verbs under a
locked heap.
"""

import time

import ringlane
from harness import Locked, raises
from ringlane import (
    HIGH,
    LOW,
    ROUND_ROBIN,
    AnycastChannel,
    Channel,
    LockGuard,
    MulticastChannel,
    PriorityChannel,
    RequestReplyChannel,
    SoftGuard,
)

_PATIENCE_MS = 5000

watch = ringlane.debug()
try:
    from _thread import get_ident

    _locked = get_ident() < 1 << 30  # else it is an object each time
except ImportError:
    _locked = True
if not _locked:

    def Locked(end):
        """Return the end itself."""
        return end


def right():
    """Use each verb, as one context; nothing is found, and results and errors are as ever."""
    before = watch.met
    buf = bytearray(8)
    whole = PriorityChannel(4, slot_size=8, senders=2, stats=True)
    ch, other = Locked(whole), Locked(whole.add_sender())
    assert ch.send(b"12345678", HIGH) and other.send_word(-5, LOW) and ch.send_word_at(7, LOW, 3)
    assert ch.recv(buf)[0] == 8 and buf == b"12345678"
    assert sorted((ch.recv_word()[0], ch.recv_word()[0])) == [-5, 7]
    assert ch.recv_word() is None and ch.skip() is False and ch.clear() == 0
    assert ch.send(b"too large for it", HIGH) is False and whole.rejected == 1
    raises(ValueError, "class must be 0 to 4, not 7", whole.send, b"", 7)
    raises(TypeError, "not str", whole.send, "text", HIGH)
    trigger = whole.trigger(HIGH)
    trigger(None)
    assert ch.recv_word()[0] == 1
    views = Channel(2, slot_size=4, zero_copy=True)
    slot = views.claim(HIGH)
    slot[0] = 9
    assert views.commit(HIGH, 1) and views.peek()[0] == 1 and views.view[0] == 9
    assert views.release() and views.claim(HIGH) is not None
    views.abort(HIGH)
    bus = MulticastChannel(4, max_lag=2, slot_size=4)
    first, second = bus.add_receiver("first"), bus.add_receiver("second")
    assert Locked(bus).send_word(3, LOW) == 2
    assert Locked(first).recv_word()[0] == Locked(second).recv_word()[0] == 3
    pool = AnycastChannel(4, ROUND_ROBIN, slot_size=4)
    worker = pool.add_receiver()
    assert Locked(pool).send_word(4, LOW) == 1 and Locked(worker).recv_word()[0] == 4
    rpc = Locked(RequestReplyChannel(2, slot_size=4))
    id = rpc.send_request(b"ask")
    assert rpc.recv_request(buf)[0] == 3 and rpc.send_response(id, b"yes")
    assert rpc.recv_response(id, buf)[0] == 3
    id = rpc.send_request(b"ask")
    assert rpc.recv_request(buf) and rpc.send_status(id, b"", 2)
    assert rpc.recv_response(id, buf)[1] == 2 and rpc.cancel(rpc.send_request(b""))
    shared = Channel(4, send_guard=LockGuard(), recv_guard=LockGuard())
    end = shared.add_receiver()
    assert shared.send(b"one", HIGH) and end.recv(bytearray(32))[0] == 3
    assert shared.send_word(2, HIGH) and shared.recv_word()[0] == 2
    print("right: %d found" % (watch.met - before))


def _until_raised(use):
    # Use the end as a task, until it is told; what a handler's use comes to is counted elsewhere.
    start = time.ticks_ms()
    while time.ticks_diff(time.ticks_ms(), start) < _PATIENCE_MS:
        try:
            use()
        except RuntimeError as error:
            return "raised: %s" % error
    return "nothing"


def _with_timer(handler, use):
    from machine import Timer

    timer = Timer(freq=500, hard=True, callback=handler)
    try:
        return use()
    finally:
        timer.deinit()


def handlers():
    """Share ends between a hard timer's handler and a task."""
    ch = Channel(64, slot_size=4, name="turns")
    calls = bytearray(4)

    def on_send(timer):
        calls[0] = calls[0] + 1 & 255
        ch.send_word(1, HIGH)

    def send():
        ch.send_word(2, LOW)
        ch.clear()

    print(_with_timer(on_send, lambda: _until_raised(send)))
    seen = calls[0]

    def look():
        time.sleep_ms(10)
        return calls[0] != seen

    print("and the handler still comes:", _with_timer(on_send, look))
    taken = PriorityChannel(8, slot_size=4, name="taken")

    def on_take(timer):
        taken.recv_word()

    print(_with_timer(on_take, lambda: _until_raised(taken.recv_word)))

    # A context each; and handed over, once.
    good = Channel(8, slot_size=4, senders=2)
    mine = good.add_sender()
    good.send_word(0, LOW)

    def on_good(timer):
        good.send_word(1, HIGH)

    def use():
        mine.send_word(2, LOW)
        good.clear()
        time.sleep_us(100)

    before = watch.met
    end = time.ticks_add(time.ticks_ms(), 40)

    def for_a_while():
        while time.ticks_diff(end, time.ticks_ms()) > 0:
            use()

    _with_timer(on_good, for_a_while)
    print("right:", watch.met - before, "found,", good.sent > 10)


def guards():
    """Share senders under a guard that keeps handlers out, and under one that does not."""
    guarded = Channel(8, slot_size=4, send_guard=ringlane.IrqGuard(), name="guarded")
    soft = Channel(8, slot_size=4, send_guard=SoftGuard(), name="soft")

    def on_guarded(timer):
        guarded.send_word(1, HIGH)
        soft.send_word(1, HIGH)

    def share():
        start = time.ticks_ms()
        before = watch.met
        while watch.met == before and time.ticks_diff(time.ticks_ms(), start) < _PATIENCE_MS:
            guarded.send_word(2, LOW)
            soft.send_word(2, LOW)
            guarded.clear()
            soft.clear()

    _with_timer(on_guarded, share)
    time.sleep_ms(2)  # the scheduler prints
    found = str(watch)
    print("guarded found:", "'guarded'" in found, "soft found:", "'soft'" in found)


def threads():
    """Share ends between two threads, or two cores."""
    import _thread

    ch = Channel(64, slot_size=4, name="two")
    told = []

    def use():
        ch.send_word(1, HIGH)
        time.sleep_us(50)

    def other():
        told.append(_until_raised(use))

    _thread.start_new_thread(other, ())
    told.append(_until_raised(use))
    while len(told) < 2:
        time.sleep_ms(1)
    for each in told:
        print(each)

    good = Channel(16, slot_size=4, senders=2, name="good")
    mine = good.add_sender()
    before = watch.met
    done = []

    def send():
        for number in range(100):
            mine.send_word(number, HIGH)
            time.sleep_us(50)
        done.append(1)

    _thread.start_new_thread(send, ())
    while not done:
        good.send_word(1, LOW)
        good.recv_word()
        good.clear()
        time.sleep_us(50)
    print("right:", watch.met - before, "found")
