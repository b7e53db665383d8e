"""Buffers, words and classes as a program may hand them over: what is taken, what is an error."""

import gc
from array import array

from harness import Locked, raises
from ringlane import (
    BULK,
    HIGH,
    LOW,
    NORMAL,
    REALTIME,
    Channel,
    MulticastChannel,
    PriorityChannel,
    RequestReplyChannel,
)

_HUGE = 1 << 40  # an object on every board


class _Long(bytearray):
    def __len__(self):
        return 1000


class _Bytes(bytes):
    pass


def _two_way():
    # What sends a message and what receives one, of each kind of channel.
    ch = Channel(4, 64)
    yield lambda data: ch.send(data, LOW), ch.recv
    bus = MulticastChannel(4, 4, 64, 1)
    end = bus.add_receiver()
    yield lambda data: bus.send(data, LOW), end.recv
    rpc = RequestReplyChannel(4, 64)

    def recv(buf):
        m = rpc.recv_request(buf)
        if m:
            rpc.cancel(m[1])  # so that the next finds room
        return m

    yield rpc.send_request, recv


def a_buffer_that_moved_is_not_taken_for_another_in_its_place():
    for send, recv in _two_way():
        assert send(b"A" * 24)
        buf = bytearray(24)
        assert recv(buf)[0] == 24
        buf.extend(bytes(4000))  # it lies elsewhere now, so something else may come to its place
        gc.collect()
        strangers = [bytes(24) for _ in range(40)]
        for each in strangers:
            assert send(b"B" * 24)
            raises(TypeError, "must be writable, not bytes", recv, each)
            assert each == bytes(24)
            assert recv(buf)[0] == 24 and buf[:24] == b"B" * 24


def a_message_that_moved_is_not_taken_for_another_in_its_place():
    for send, recv in _two_way():
        buf = bytearray(48)
        data = bytearray(24)
        assert send(data) and recv(buf)[0] == 24
        data.extend(bytes(4000))
        gc.collect()
        for each in [array("H", [7] * 24) for _ in range(40)]:
            raises(TypeError, "items must be bytes, not those of array", send, each)
        data = "text of 24 characters..."
        kept = data.encode()
        assert send(kept) and recv(buf)[0] == 24
        raises(TypeError, "or array, not str", send, data)


def a_buffer_that_changed_its_size_is_met_with_its_size_of_now():
    for send, recv in _two_way():
        data, buf = bytearray(b"12345678"), bytearray(8)
        assert send(data) and recv(buf)[0] == 8 and buf == data
        data.extend(b"9abcdef")
        assert send(data)
        raises(ValueError, "message of 15 bytes, receive buffer of 8", recv, buf)
        buf.extend(bytes(7))
        assert recv(buf)[0] == 15 and buf == data


def a_subclass_is_no_buffer():
    ch = Channel(4, 32)
    assert ch.send(b"1234", LOW)
    raises(TypeError, "or array, not _Long", ch.send, _Long(4), LOW)
    raises(TypeError, "or array, not _Bytes", ch.send, _Bytes(b"1"), LOW)
    raises(TypeError, "or array, not _Long", ch.recv, _Long(4))
    raises(TypeError, "not _Long", ch.recv_words, _Long(4))
    buf = bytearray(4)
    assert ch.recv(buf)[0] == 4 and buf == b"1234" and ch.rejected == 0


def words_are_received_into_ints_only():
    ch = Channel(4, 32)
    ch.send_word(5, LOW)
    checked = 0
    for code in "bBhHqQfdO":
        try:
            words = array(code, [1, 2])
        except Exception:  # a port may lack a type
            continue
        before = list(words)
        raises(TypeError, "words must be an array of 'i' or 'I', not array", ch.recv_words, words)
        assert list(words) == before
        checked += 1
    assert checked >= 6
    raises(TypeError, "not bytearray", ch.recv_words, bytearray(8))
    raises(TypeError, "not memoryview", ch.recv_words, memoryview(array("f", [1.0])))
    raises(TypeError, "not list", ch.recv_words, [0, 0])
    raises(TypeError, "not NoneType", ch.recv_words, None)
    for words in (array("i", [0]), array("I", [0]), memoryview(array("i", [0]))):
        ch.send_word(7, LOW)
        ch.skip()
        assert ch.recv_words(words) == 1 and words[0] == 7
        ch.send_word(7, LOW)


def a_word_of_more_than_a_small_int_stays_where_there_is_no_memory_for_it():
    # On a chip such a word is an object to allocate: a hard handler receives it as bytes.
    plain = Channel(2, 4)
    ch = Locked(plain)
    buf, words = bytearray(4), array("I", [0])
    assert ch.send_word(0x7FFFFFFF, LOW) and ch.send_word(-5, LOW)
    try:
        m = ch.recv_word()
    except MemoryError:
        assert len(plain) == 2 and plain.received == 0
        m = plain.recv_word()
    assert m[0] == 0x7FFFFFFF and ch.recv_word()[0] == -5
    assert ch.send_word(0x7FFFFFFF, LOW) and ch.recv(buf)[0] == 4 and buf == b"\xff\xff\xff\x7f"
    assert ch.send_word(0x7FFFFFFF, LOW) and ch.recv_words(words) == 1 and words[0] == 0x7FFFFFFF


def what_fails_leaves_nothing_for_the_next_call():
    for ch in (PriorityChannel(4, 8), Channel(4, 8), MulticastChannel(4, 4, 8, 1)):
        end = ch.add_receiver() if isinstance(ch, MulticastChannel) else ch
        locked = Locked(ch)
        for bad in (_HUGE, -_HUGE, 5, -1, "1", None, 1.5):
            for verb, value in ((locked.send_at, b"x"), (locked.send_word_at, 1)):
                try:
                    verb(value, bad, 77)
                except (TypeError, ValueError, OverflowError, MemoryError):
                    pass
                else:
                    # A 32-bit board takes the low 32 bits of a class.
                    assert bad in (_HUGE, -_HUGE) and end.skip()
                before = ch.clock.ticks()
                assert ch.send(b"y", NORMAL)
                assert end.recv(bytearray(8))[0] == 1
                assert end.timestamp() != 77 and ch.clock.diff(end.timestamp(), before) >= 0
        assert len(end) == 0


def a_status_that_failed_is_not_of_the_next_reply():
    rpc = RequestReplyChannel(2, 8)
    buf = bytearray(8)
    locked = Locked(rpc)
    for bad in (_HUGE, "1", None, 1.5):
        try:
            assert not locked.send_status(bad, b"x", 9)
        except (TypeError, OverflowError, MemoryError):
            pass
        id = rpc.send_request(b"?")
        assert rpc.recv_request(buf)[1] == id
        assert rpc.send_response(id, b"!") and rpc.recv_response(id, buf)[1] == 0


def check_takes_the_classes_that_send_takes():
    ch = PriorityChannel((1, 1, 1, 0, 1), 4)
    taken = 0
    for value in (True, False, REALTIME, BULK, 3, 5, -1, (1 << 32) | 2, 1.0, "1", None):
        results = []
        for verb in (ch.check, ch.send):
            try:
                verb(b"1", value)
                results.append(None)
            except Exception as error:
                results.append(type(error))
        assert results[0] == results[1], (value, results)
        taken += results[0] is None
    assert taken >= 4 and ch.send(b"1", HIGH) is False  # True was HIGH


def an_array_of_wider_items_is_sent_as_bytes_that_share_its_memory():
    try:
        from uctypes import addressof, bytearray_at
    except ImportError:  # CPython
        return
    samples = array("H", [1, 2, 0xABCD])
    raw = bytearray_at(addressof(samples), 2 * len(samples))
    ch = Locked(Channel(1, 6))
    buf = bytearray(6)
    samples[1] = 0x1234
    assert ch.send(raw, LOW) and ch.recv(buf)[0] == 6
    assert buf == b"\x01\x00\x34\x12\xcd\xab"


def an_empty_array_that_grows_is_checked_again():
    # Empty it does not tell how wide its items are; what is known is never looked at again.
    for kind in (Channel, PriorityChannel):
        ch = kind(8, slot_size=8)
        buf, words, data = array("H"), array("H"), array("I")
        assert ch.recv_words(words) == 0 and ch.recv(buf) is None and ch.send(data, LOW)
        for each in (buf, words, data):
            for _ in range(8):
                each.append(0)
        raises(TypeError, "message items must be bytes", ch.send, data, LOW)
        assert ch.recv(bytearray(8))[0] == 0 and len(ch) == 0
        for number in range(4):
            assert ch.send_word(number, LOW)
        raises(TypeError, "words must be an array of 'i' or 'I'", ch.recv_words, words)
        raises(TypeError, "message items must be bytes", ch.recv, buf)
        assert len(ch) == 4 and list(words) == list(buf) == [0] * 8


class _Index:
    def __int__(self):
        return 1


def _no_buffers():
    # What is neither bytes nor a view of bytes, of every sort that a word can stand for.
    yield from (0, 5, -1, 0x3FFFFFFF, -0x40000000, _HUGE, -_HUGE, True, False, None, 1.5, ...)
    yield from ("", "t", "text of 24 characters...", (), (1, 2, 3), [], [1, 2, 3], {}, {1: 2})
    yield from (bytes, bytearray, len, raises, _Index(), range(4), iter(b"12"), Channel(1, 4))
    yield from (_Long(4), _Bytes(b"1234"), gc)
    for code in "HhIiLlQqfdO":
        try:
            words = array(code, [0, 0])
        except Exception:  # a port may lack a type
            continue
        yield words
        if code != "O":
            yield memoryview(words)


def nothing_but_bytes_is_sent_or_received_into():
    sorts = 0
    for send, recv in _two_way():
        buf = bytearray(32)
        for number, wrong in enumerate(_no_buffers()):
            data = bytes((number, 1, 2))
            raises(TypeError, "message", send, wrong)
            assert send(data)
            raises(TypeError, "", recv, wrong)
            assert recv(buf)[0] == 3 and buf[:3] == data
            raises(TypeError, "", recv, wrong)  # empty, too
            sorts += 1
        for wrong in (b"", b"12345678", bytes(8), memoryview(b"1234"), memoryview(bytes(9))[3:]):
            before = bytes(wrong)
            assert send(b"abc")
            raises(TypeError, "writable", recv, wrong)
            assert recv(buf)[0] == 3 and bytes(wrong) == before
    assert sorts > 100, sorts


def bytes_of_every_sort_and_place_come_out_as_they_were_sent():
    whole = bytes(range(1, 54))
    for send, recv in _two_way():
        for size in (0, 1, 3, 4, 15, 16, 33, 48):
            for offset in range(4):
                expected = whole[offset : offset + size]
                room = bytearray(whole)
                sources = [
                    bytes(expected),
                    bytearray(expected),
                    array("B", expected),
                    memoryview(whole)[offset : offset + size],
                    memoryview(room)[offset:][:size],
                    memoryview(array("B", whole))[offset : offset + size],
                ]
                for number, source in enumerate(sources):
                    targets = [bytearray(52), array("B", bytes(52)), memoryview(bytearray(52))]
                    space = bytearray(60)
                    targets.append(memoryview(space)[offset : offset + 52])
                    target = targets[number % 4]
                    assert send(source)
                    m = recv(target)
                    assert m[0] == size
                    assert bytes(target) == expected + bytes(52 - size)
                    assert not any(space[:offset]) and not any(space[offset + 52 :])
                    assert room == whole


def a_result_that_someone_shortened_is_not_written_beyond_its_end():
    ch = PriorityChannel(4, 8)
    buf = bytearray(8)
    for verb, send in (
        (lambda: ch.recv(buf), lambda: ch.send(b"abcd", LOW)),
        (ch.recv_word, lambda: ch.send_word(5, LOW)),
    ):
        send()
        m = verb()
        for _ in range(3):
            m.pop()
            send()
            queued = len(ch)
            raises(IndexError, "", verb)
            assert len(ch) == queued
        m += [0, 0, 0]
        while ch.recv(buf):
            pass
        assert send() and len(verb()) == 3


def words_at_the_edges_of_small_ints_come_out_as_they_were_sent():
    plain = Channel(2, 4)
    values = [0, 1, -1]
    for edge in (1 << 29, 1 << 30, (1 << 31) - 1):
        values += [edge - 1, edge, -edge, -edge - 1]
    for value in values:
        assert plain.send_word(value, LOW)
        assert plain.recv_word()[0] == value, value
        assert plain.send_word(value, LOW) and plain.recv(bytearray(4))[0] == 4
        assert plain.send_word(3, NORMAL) and plain.recv_word()[:2] == [3, NORMAL]
