"""What stats=True promises, as functions that CPython and MicroPython both run."""

from array import array

from harness import ROOMY, Locked, Ticks, raises
from ringlane import (
    LOW,
    NORMAL,
    ROUND_ROBIN,
    AnycastChannel,
    Channel,
    MulticastChannel,
    PriorityChannel,
)

KINDS = (PriorityChannel, Channel)
VALUES = 1200 if ROOMY else 120
LARGEST = (1 << 30) - 1


def _spread(count, seed):
    # Latencies from a tick to a million: six decades, each as likely.
    values = []
    for _ in range(count):
        seed = (seed * 69069 + 1) & 0x3FFFFFFF
        low = 10 ** ((seed >> 16) % 6)
        seed = (seed * 69069 + 1) & 0x3FFFFFFF
        values.append(low + (seed >> 8) % (9 * low))
    return values


def _pass(send, take, ticks, latencies):
    # A message for each latency; return what the receiver measured.
    measured = []
    for latency in latencies:
        sent = send.send_word(latency, NORMAL) if latency % 2 else send.send(b"1234", NORMAL)
        assert sent
        ticks.now = (ticks.now + latency) & LARGEST
        m = take(latency)
        measured.append(m[2])
    return measured


def _agree(stats, latencies):
    # The figures against the exact ones of the same latencies.
    count, average, p50, p99, most = stats
    ordered = sorted(latencies)
    assert count == len(ordered) and most == ordered[-1], (count, most)
    assert average == sum(ordered) // count, average
    rounded = 0
    for percent, found in ((50, p50), (99, p99)):
        exact = ordered[-(-count * percent // 100) - 1]
        assert exact <= found and (found - exact) * 16 < max(exact, 1), (percent, exact, found)
        rounded += found != exact
    return rounded


def _taker(end, buf):
    # recv and recv_word in turn.
    def take(number):
        return end.recv(buf) if number % 3 else end.recv_word()

    return take


def percentiles_of_real_latencies_keep_the_stated_error():
    rounded = 0
    for kind in KINDS:
        for seed in (1, 2, 3) if ROOMY else (1,):
            ticks = Ticks()
            plain = kind(2, 4, clock=ticks.clock, stats=True)
            ch = Locked(plain)
            latencies = _spread(VALUES, seed)
            measured = _pass(ch, _taker(ch, bytearray(4)), ticks, latencies)
            assert measured == latencies and min(measured) < 10
            assert max(measured) > 100000 * min(measured)
            rounded += _agree(plain.stats(), measured)
    assert rounded  # else the bound above was not put to the test


def one_message_and_few_messages_have_their_exact_figures():
    for latencies in ([0], [7], [5, 6], [31] * 3, [1, 2, 3, 4], [0, 0, 30], [9] * 99 + [10]):
        ticks = Ticks()
        plain = Channel(2, 4, clock=ticks.clock, stats=True)
        ch = Locked(plain)
        assert _pass(ch, _taker(ch, bytearray(4)), ticks, latencies) == latencies
        assert _agree(plain.stats(), latencies) == 0  # below 32 nothing is rounded


def no_message_is_all_zeros():
    for kind in KINDS:
        plain = kind(2, stats=True)
        ch = Locked(plain)
        assert tuple(plain.stats()) == (0, 0, 0, 0, 0)
        ch.send(b"not read", LOW)
        assert tuple(plain.stats()) == (0, 0, 0, 0, 0)
        assert ch.recv_word is not None and plain.skip()
        assert plain.stats().count == 0  # nobody saw its latency


def the_average_is_exact_far_beyond_30_bits():
    ticks = Ticks()
    plain = Channel(2, 4, clock=ticks.clock, stats=True)
    ch = Locked(plain)
    latencies = [LARGEST, LARGEST - 1, 3, 1 << 29] * (300 if ROOMY else 20)
    measured = _pass(ch, _taker(ch, bytearray(4)), ticks, latencies)
    assert measured == latencies and sum(measured) > 40 * (1 << 30)
    _agree(plain.stats(), measured)
    assert plain.stats().max_latency == LARGEST


def stats_count_what_recv_and_recv_word_take():
    ticks = Ticks()
    plain = PriorityChannel(4, 8, clock=ticks.clock, stats=True)
    ch = Locked(plain)
    buf = bytearray(8)
    for step in range(4):
        assert ch.send(b"12345678", NORMAL)
        ticks.now += 100 + step
        if step == 0:
            assert ch.recv(buf)[2] == 100
        elif step == 1:
            assert ch.skip() is True
        elif step == 2:
            raises(ValueError, "is not a word", ch.recv_word)
            raises(ValueError, "receive buffer of 7", ch.recv, bytearray(7))
            assert ch.recv(buf)[2] == 102
        else:
            assert ch.clear() == 1
    assert ch.recv(buf) is None and ch.recv_word() is None
    ch.send_word(1, LOW)
    assert ch.recv_words(array("i", [0])) == 1  # without latencies
    assert plain.stats().count == 2 and plain.received == 5
    assert plain.stats().avg_latency == 101


def stats_count_what_release_takes_by_the_latency_that_peek_gave():
    for kind in KINDS:
        ticks = Ticks()
        plain = kind(4, 8, clock=ticks.clock, zero_copy=True, stats=True)
        ch = Locked(plain)
        buf = bytearray(8)
        expected = []
        assert ch.peek() is None and ch.release() is False
        for latency in (100, 7000, 30):
            ch.send(b"12345678", NORMAL)
            ticks.now += latency
            assert ch.peek()[2] == latency
            assert plain.stats().count == len(expected)  # it is not taken yet
            ticks.now += 50000
            assert ch.release() is True and ch.release() is False
            expected.append(latency)
            _agree(plain.stats(), expected)
        ch.send(b"12345678", NORMAL)
        for _ in range(3):
            ticks.now += 5
            ch.peek()
        assert ch.release() is True  # counted once, as peek said last
        expected.append(15)
        _agree(plain.stats(), expected)
        # What recv or skip takes in between is not release's.
        ch.send(b"12345678", NORMAL)
        assert ch.peek()[2] == 0
        ticks.now += 200
        assert ch.recv(buf)[2] == 200 and ch.peek() is None and ch.release() is False
        expected.append(200)
        ch.send(b"12345678", NORMAL)
        assert ch.peek()[2] == 0 and ch.skip() is True and ch.release() is False
        _agree(plain.stats(), expected)
        assert plain.received == len(expected) + 1
        ch.reset_stats()
        ch.send_word(1, NORMAL)
        assert ch.peek()[0] == 4 and ch.release() is True and plain.stats().count == 1


def statistics_belong_to_their_own_channel():
    ticks = Ticks()
    made = [PriorityChannel(2, 4, clock=ticks.clock, stats=True) for _ in range(3)]
    ends = [Locked(plain) for plain in made]
    for number in range(3):
        for _ in range(number):
            ends[number].send_word(0, LOW)
            ticks.now += 1000 * number
            ends[number].recv_word()
    assert [plain.stats().count for plain in made] == [0, 1, 2]
    assert [plain.stats().max_latency for plain in made] == [0, 1000, 2000]
    made[2].reset_stats()
    assert [plain.stats().count for plain in made] == [0, 1, 0]


def stats_into_writes_five_figures_and_allocates_nothing():
    ticks = Ticks()
    plain = Channel(2, 4, clock=ticks.clock, stats=True)
    ch = Locked(plain)
    latencies = [40, 200, 3000] * 20
    assert _pass(ch, _taker(ch, bytearray(4)), ticks, latencies) == latencies
    expected = tuple(plain.stats())
    assert _agree(expected, latencies)
    for code in ("i", "I"):
        words = array(code, [7] * 7)
        assert ch.stats_into(words) is None
        assert tuple(words) == expected + (7, 7), words
        five = array(code, [0] * 5)
        ch.stats_into(five)
        ch.stats_into(memoryview(words))
        assert tuple(five) == expected


def a_wrong_array_for_the_figures_names_itself():
    plain = Channel(2, 4, stats=True)
    ch = Locked(plain)
    ch.send_word(1, LOW)
    ch.recv_word()
    for count in (0, 1, 4):
        text = "words must have 5 items, not %d" % count
        raises(ValueError, text, ch.stats_into, array("i", [0] * count))
    for words in (array("h", [0] * 5), array("d", [0.0] * 5), bytearray(20), "12345", None, [0]):
        raises(TypeError, type(words).__name__, ch.stats_into, words)
    assert plain.stats().count == 1


def a_reset_forgets_everything_and_starts_anew():
    for kind in KINDS:
        ticks = Ticks()
        plain = kind(2, 4, clock=ticks.clock, stats=True)
        ch = Locked(plain)
        take = _taker(ch, bytearray(4))
        for latencies in ([5, 900000], [33, 34, 35], [LARGEST]):
            assert _pass(ch, take, ticks, latencies) == latencies
            _agree(plain.stats(), latencies)
            assert ch.reset_stats() is None
            assert tuple(plain.stats()) == (0, 0, 0, 0, 0)
        assert plain.received == 6  # the counters are not the statistics


def a_channel_without_stats_says_so():
    for kind in KINDS:
        ch = kind(2, name="bus")
        ch.send_word(1, LOW)
        text = "%s 'bus' was made without stats=True" % kind.__name__
        raises(ValueError, text, ch.stats)
        raises(ValueError, text, ch.reset_stats)
        raises(ValueError, text, ch.stats_into, array("i", [0] * 5))
        assert ch.recv_word()[0] == 1


def the_figures_have_names():
    plain = PriorityChannel(2, 4, stats=True)
    plain.send_word(1, LOW)
    plain.recv_word()
    stats = plain.stats()
    assert stats == (
        stats.count,
        stats.avg_latency,
        stats.p50_latency,
        stats.p99_latency,
        stats.max_latency,
    )
    for name in ("count", "avg_latency", "p50_latency", "p99_latency", "max_latency"):
        assert name + "=" in str(stats), stats


def each_receiver_of_a_multicast_has_its_own():
    ticks = Ticks()
    ch = MulticastChannel(4, slot_size=4, max_receivers=2, clock=ticks.clock, stats=True)
    ends = [Locked(ch.add_receiver()) for _ in range(2)]
    buf = bytearray(4)
    expected = [[], []]
    for number in range(30):
        assert ch.send_word(number, NORMAL) == 2
        for i in (0, 1):
            ticks.now += 13 + 500 * i
            expected[i].append(ends[i].recv(buf)[2] if number % 2 else ends[i].recv_word()[2])
    for i in (0, 1):
        words = array("i", [0] * 5)
        ends[i].stats_into(words)
        assert tuple(words) == tuple(ends[i].end.stats())
        _agree(tuple(words), expected[i])
    assert max(expected[0]) < min(expected[1])
    ends[0].reset_stats()
    assert ends[0].end.stats().count == 0 and ends[1].end.stats().count == 30


def each_receiver_of_an_anycast_has_its_own():
    ticks = Ticks()
    ch = AnycastChannel(
        4, ROUND_ROBIN, slot_size=4, max_receivers=2, clock=ticks.clock, stats=True
    )
    ends = [Locked(ch.add_receiver()) for _ in range(2)]
    for number in range(20):
        assert ch.send_word(number, NORMAL) == 1
        ticks.now += 10 + 1000 * (number % 2)
        assert ends[number % 2].recv_word()[0] == number
    figures = [end.end.stats() for end in ends]
    assert [each.count for each in figures] == [10, 10]
    assert [each.avg_latency for each in figures] == [10, 1010]
    # The place's next receiver begins at nothing, and that of the one before stays to be read.
    old = ends[0].end
    old.close()
    again = ch.add_receiver()
    assert again.id == old.id and again.stats().count == 0 and old.stats().count == 10


def a_receiver_without_stats_says_so():
    for ch in (MulticastChannel(2), AnycastChannel(2, ROUND_ROBIN)):
        end = ch.add_receiver("logger")
        for call in (end.stats, end.reset_stats, lambda end=end: end.stats_into(array("i", [0]))):
            raises(ValueError, "without stats=True", call)
            raises(ValueError, "'logger'", call)
