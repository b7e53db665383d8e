"""What the demo has to show at its end: a table by class, and a verdict that can be wrong."""

from ringlane import BULK, REALTIME
from ringlane.names import CLASS_NAMES

MINUTE_S = 60
# Published detectors find 104 to 109 beats in this minute; this one may find one more.
_MINUTE_BEATS = (104, 110)
_TABLE = "%-8s %6s %9s %8s %11s %8s %8s %8s"
# The uplink takes 5/9 of the recording and holds 4 blocks more: full after some 5 s.
_BULK_DROPS_FROM_S = 10


def print_table(demo):
    """Print what each class sent, received and dropped, and how long its messages waited."""
    print()
    print(_TABLE % ("class", "sent", "received", "dropped", "high water", "p50 us", "p99", "max"))
    for priority in range(5):
        _, sent, received, dropped, _, high_water = channel_of(demo, priority).counters(priority)
        waits = demo.waits[priority]
        microseconds = demo.samples.clock.us
        print(
            _TABLE
            % (
                CLASS_NAMES[priority],
                sent,
                received,
                dropped,
                high_water,
                microseconds(waits.percentile(50)),
                microseconds(waits.percentile(99)),
                microseconds(waits.max),
            )
        )
    print("A beat's latency starts at its R peak: 0.2 s of signal more until it is found.")
    print("p50 and p99 are at most 1/16 too large; the rest is exact.")
    print()


def channel_of(demo, priority):
    """Return the channel that carries the class."""
    return demo.samples if priority == REALTIME else demo.uplink


def beats_expected(seconds):
    """Return the least and the most beats that may be found in the first `seconds`.

    For the minute, what published detectors find. For a part of it that share, less 5 beats, as
    the detector learns for 2 s and needs 0.3 s to report, or plus 3, as the rate varies.
    """
    low, high = _MINUTE_BEATS
    if seconds == MINUTE_S:
        return low, high
    return max(1, low * seconds // MINUTE_S - 5), high * seconds // MINUTE_S + 3


def faults(demo):
    """Return everything that is wrong, a sentence each: a list, empty after a good run."""
    found = []
    if demo.sampler.taken != demo.count:
        found.append("sampling stopped after %d of %d samples" % (demo.sampler.taken, demo.count))
    if demo.received != demo.count:
        found.append("%d of %d samples received" % (demo.received, demo.count))
    if demo.gaps:
        found.append("%d gaps in the order of samples" % demo.gaps)
    if demo.wrong:
        found.append("%d samples differ from the recording" % demo.wrong)
    for priority in range(5):
        _, sent, received, dropped, rejected, _ = channel_of(demo, priority).counters(priority)
        name = CLASS_NAMES[priority]
        if dropped and priority != BULK:
            capacity = channel_of(demo, priority).capacity[priority]
            found.append("%s dropped %d: its lane of %d was full" % (name, dropped, capacity))
        if rejected:
            found.append("%s rejected %d" % (name, rejected))
        if not received:
            found.append("%s carried nothing" % name)
        # The channel's counts against the program's own, on either side.
        if sent + dropped != demo.offered(priority):
            found.append("%s counts %d of %d" % (name, sent + dropped, demo.offered(priority)))
        if received != demo.waits[priority].count or received != sent:
            found.append("%s received %d of %d" % (name, demo.waits[priority].count, sent))
    if demo.seconds >= _BULK_DROPS_FROM_S and not demo.uplink.counters(BULK)[3]:
        found.append("BULK dropped nothing, although the uplink is too slow for it")
    low, high = beats_expected(demo.seconds)
    if not low <= len(demo.beats) <= high:
        found.append("%d beats, not %d to %d" % (len(demo.beats), low, high))
    return found


def verdict(demo):
    """Return the sentence that a good run ends with."""
    low, high = beats_expected(demo.seconds)
    expected = "%d to %d expected" % (low, high)
    if demo.seconds == MINUTE_S:
        expected = "published detectors: 104 to 109"
    return "{:,} samples in order, none lost; {} beats ({})".format(
        demo.received, len(demo.beats), expected
    )
