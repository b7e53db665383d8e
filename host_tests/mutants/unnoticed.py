"""Mutants that no test can find, and why: {reason: names}, where * stands for anything.

HARMLESS change nothing that any context, user or board could tell. HANGING end no test: a loop in
them never ends. Neither is run. test_mutants.py fails where a name fits no mutant any more.
"""

import functools
import re

HARMLESS = {
    "a flag is set by any number but 0": ['*: 1 is 2 in "part[_AT_SET] = 1"'],
    "a slot is its sender's alone until head is stored": [
        '*: "slot[_META] = *" swapped with "slot[_TIME] = now"',
        '*: "slot[_TIME] = now" swapped with "slot[2] = value"',
        '*: "slot[2] = value" before "slot[_META] = *"',
    ],
    "the channel's block is nobody else's while it is laid out": [
        '*Lanes._lay_out: "pack_into(*" swapped with "*',
        '*fanout._forget_buffers: "store(base, *" swapped with "store(base, *"',
        '*fanout._forget_buffers: "store(base, *" before "store(base, *"',
        '*.Fanout.__init__: "for *" before *',
    ],
    "the word is the same as long as the channel lives": [
        '*: "rows" loaded again in *',
        'lanes.room_of: "left" loaded again in *',
        'lanes.room_of: "used = lane[_HEAD] - *" swapped with "left = lane[_CAPACITY]"',
        '*: "policy" loaded again in *',
        '*: "step" loaded again in *',
        'anycast.make_choose.choose: "core" loaded again in *',
        'oldest.make_next_lane.next_lane: "age" loaded again in *',
        '*: "rows = part[_ROWS]" swapped with "policy = part[_POLICY]"',
        'anycast.make_choose.choose: "own = *" swapped with "step = part[_ROW_STEP]"',
        'anycast.make_choose.choose: "step = *" swapped with "rows = part[_ROWS]"',
        'anycast.make_choose.choose: "policy = *" swapped with "core = part[_CORE]"',
        'anycast.make_choose.choose: "row = part[_TURN]" before "if core*',
        '*: "own = int(part) + part[_CARDS]" before "if priority < 0 or *"',
    ],
    "only the context that loads the word writes it": [
        '*: "register" loaded again in *',
        '*: "write" loaded again in *',
        '*: "read" loaded again in *',
        '*make_sender.send*: "head" loaded again in *',
        'request_reply.make_client.*: "head" loaded again in *',
        'zero_copy._make_claims.*: "head" loaded again in *',
        'zero_copy._make_peeks.*: "number" loaded again in *',
        'zero_copy._make_peeks.*: "first" loaded again in "if *',
        'anycast.make_choose.choose: "row" loaded again in *',
        'anycast.make_choose.choose: "seed" loaded again in *',
        'request_reply.make_client.*: "free" loaded again in *',
        'request_reply.make_client.*: "generation" loaded again in *',
        'request_reply.make_client.*: "latency" loaded again in *',
        'request_reply.make_client.*: "own[_FREE] = free + 1" swapped with "own[_TAKEN] = *"',
        'request_reply.make_client.recv_response: "own[_TAKEN] = *" swapped with "cold._add*"',
        'request_reply.make_client.recv_response: "own[_TAKEN] = *" before "result*',
        'request_reply.make_client.recv_response: "own[_TAKEN] = *" before "entry*',
        'request_reply.make_client.recv_response: "own[_TAKEN] = *" before "free*',
        'request_reply.make_client.recv_response: "own[_TAKEN] = *" before "ptr8*',
        'request_reply.make_client.recv_response: "own[_TAKEN] = *" before "latency*',
        'request_reply.make_client.recv_response: "own[_TAKEN] = *" before "while*',
        'request_reply.make_client.recv_response: "own[_TAKEN] = *" before "if part*',
        '*: "now = part[_AT]" swapped with "part[_AT_SET] = 0"',
        '*: "part[_AT_SET] = 0" swapped with "part[_CLOCK] = part[_REGISTER]"',
        '*: "part[_CLOCK] = part[_REGISTER]" before "now = part[_AT]"',
        '*: "part[_AT] = ticks" swapped with "part[_AT_SET] = 1"',
        '*: "part[_AT_SET] = 1" swapped with "part[_CLOCK] = 0"',
        '*: "part[_CLOCK] = 0" before "part[_AT] = ticks"',
        # Where a lane goes on: only who writes there, or reads there, needs to know.
        '*: "lane[_WRITE] = write" swapped with "lane[_HEAD] = head + 1"',
        '*: "lane[_HEAD] = head + 1" before "lane[_WRITE] = write"',
        '*: "lane[_HEAD] = head + 1" before "if not write - lane[_END]:"',
        '*: "lane[_HEAD] = head + 1" before "write = lane[_WRITE] + part[_TX_STRIDE]"',
        '*: "lane[_WRITE] = write" before "slot[*',
        '*: "lane[_WRITE] = write" before "while count*',
        '*: "lane[_WRITE] = write" before "if int(words) & 3:"',
        '*: "write = lane[_WRITE] + part[_TX_STRIDE]" before *',
        '*: "slot[*" swapped with "write = lane[_WRITE] + part[_TX_STRIDE]"',
        '*: "lane[_READ] = read" swapped with "lane[_TAIL] = *"',
        '*: "lane[_TAIL] = *" before "lane[_READ] = read"*',
        '*: "lane[_TAIL] = *" before "if read >= lane[_END]:"',
        '*: "lane[_TAIL] = *" before "if not read - lane[_END]:"*',
        '*: "lane[_TAIL] = *" before "read = lane[_READ] + *',
        '*: "lane[_READ] = read" before "while count*',
        '*: "lane[_READ] = read" before "if int(to) & 3:"',
        '*: "lane[_READ] = read" before "result[2] = *',
        '*: "lane[_READ] = read" before "part[_STA*',
        '*: "lane[_READ] = read" before "target*',
        '*: "read = lane[_READ] + part[_STRIDE]" before *',
        '*: "*" swapped with "read = lane[_READ] + part[_STRIDE]"',
        '*: "part[_STAMP] = *" before "target*',
    ],
    "a slot keeps its words until tail is stored": [
        'verbs*.make_receiver.recv*: "meta" loaded again in *',
        'verbs*.make_receiver.recv*: "stamp" loaded again in *',
        'verbs*.make_receiver.recv*: "value" loaded again in *',
        'oldest.make_next_lane.next_lane: "stamp" loaded again in *',
        'ends.Receiver.recv_words: "size" loaded again in *',
        'zero_copy._make_peeks.peek: "stamp" loaded again in *',
        'request_reply.make_recv_request.recv_request: "meta" loaded again in *',
        'request_reply.make_recv_request.recv_request: "stamp" loaded again in *',
    ],
    "an entry is the client's once it is replied": [
        'request_reply.make_client.recv_response: "meta" loaded again in *',
    ],
    "a list's items may be set in any order": [
        '*: "result[*] = *" swapped with "result[*] = *"',
        '*: "result[*] = *" before "result[*] = *"',
        'calls._take_reply: "to[*] = *" swapped with "to[*] = *"',
        'calls._take_reply: "to[*] = *" before "to[*] = *"',
    ],
    "words are copied in another order": [
        '*: "to[*] = words[*]" swapped with "to[*] = words[*]"',
        '*: "to[*] = words[*]" before "to[*] = words[*]"',
    ],
    "what is not copied by words is copied by bytes": [
        '*: "if int(words) & 3:" always',
        '*: "if int(to) & 3:" always',
    ],
    "a buffer is checked once more": [
        '*: "part[_TX_KNOWN] = known" left out',
        '*: "part[_RX_KNOWN] = known" left out',
        '*: "part[_WORDS_KNOWN] = known" left out',
        '*: "own[_*_KNOWN] = known" left out',
        '*: "if known - *_KNOWN] & 1073741823:" always',
        'checks.check_buffer: "return True" left out',
    ],
    "of two that are equal either will do": [
        'lanes.tally: "value > lane[_CAPACITY]" with >=',
        'lanes.room_of: "left < found" with <=',
        'lanes.room_of: 1 is 2 in "return -1"*',
        'lanes.room_of: "left < 0" with <=',
        'lanes.room_of: 0 is 1 in "if left < 0 or lane[_CLAIMED]:"',
        'lanes.tally: "value > found" with >=',
    ],
    "an empty lane is looked at once more": [
        'verbs*.make_receiver.recv*: 3 is 2 in "lane = ptr32(int(lane) + 3 * _LANE_BYTES)"',
    ],
    "of a waiter whose time is up asyncio asks only whether it is ready": [
        'waiting._look_no_more: "flags if request == _POLL else -1" always',
    ],
    "no lane is larger": ['lanes.room_of: 65536 is 65537 in "found = 65536"'],
    "free() is exact for its sender, which sees no more queued than there is room for": [
        'lanes.room_of: "used" loaded again in *',
        'lanes.room_of: "left < 0" is 0 in *',
    ],
    "the word of what is no small int is an address, so more than a class": [
        'lanes.room_of: "not word & 1" is 0 in *',
    ],
    "the first epoch is 0, so no message of it can be another's": [
        'fanout.FanoutReceiver.__init__: "if epoch:" always',
    ],
    "a receiver's verbs belong to the context that closes it: none comes between": [
        'fanout.FanoutReceiver.close: "self._was = self._title()" swapped with "self._next_lane*',
        'fanout.FanoutReceiver.close: "self._next_lane = self._refuse" before *',
    ],
    "which of the ends that have not been chosen yet comes first is not promised": [
        'ends.Receiver._attach_receiver: 0 is 1 in "self._served = 0"',
    ],
}
HANGING = {
    "it looks again for ever": [
        'latency.make_average.average: "break" left out',
        'latency.make_average.average: "if count == own[_COUNT]:" never',
        'tap._note_taken: "if lane[_REST] == _LAST:" never',
        'tap._note_taken: "break" left out',
    ],
}


@functools.cache
def _patterns():
    found = []
    for table in (HARMLESS, HANGING):
        for why, names in table.items():
            for name in names:
                found.append((name, re.compile(re.escape(name).replace(r"\*", ".*")), why))
    return found


@functools.cache
def _any():
    return re.compile("|".join(pattern.pattern for _, pattern, _ in _patterns()))


def reason(name):
    """Return why no test can find the mutant of that name, None if one can."""
    if not _any().fullmatch(name):  # as most are not, of thousands
        return None
    return next(why for _, pattern, why in _patterns() if pattern.fullmatch(name))


def stale(names):
    """Return the patterns that fit none of `names`."""
    return [each for each, pattern, _ in _patterns() if not any(map(pattern.fullmatch, names))]
