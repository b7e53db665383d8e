"""Mutants that no test can find, and why: {reason: names}, where * stands for anything.

HARMLESS change nothing that any context, user or board could tell. HANGING end no test: a loop in
them never ends. Neither is run. test_mutants.py fails where a name fits no mutant any more.
"""

import functools
import re

HARMLESS = {
    "a slot is its sender's alone until head is stored": [
        '*: "slot[_META] = *" swapped with "slot[_TIME] = now"',
        '*: "slot[_TIME] = now" swapped with "slot[2] = value"',
        '*: "slot[2] = value" before "slot[_META] = *"',
    ],
    "the channel's block is nobody else's while it is laid out": [
        '*Lanes._lay_out: "_store(block, *" swapped with "_store(block, *"',
        '*Lanes._lay_out: "_store(block, *" before "_store(block, *"',
        '*.Fanout.__init__: "for *" before *',
        'request_reply.RequestReplyChannel.__init__: "for *" before *',
    ],
    "the word is the same as long as the channel lives": [
        '*: "capacity" loaded again in *',
        '*: "places" loaded again in *',
        '*: "policy" loaded again in *',
        '*: "step" loaded again in *',
        'lanes.make_receiver.timestamp: "mask" loaded again in *',
        '*: "capacity = lane[_CAPACITY]" swapped with "used = head - lane[_TAIL]"',
        '*: "used = head - lane[_TAIL]" before "capacity = lane[_CAPACITY]"',
        '*: "head = lane[_HEAD]" swapped with "capacity = lane[_CAPACITY]"',
        '*: "places = part[_PLACES]" swapped with "policy = part[_POLICY]"',
        '*: "own = int(part) + part[_OWN_LANES]" before "if priority < 0 or *"',
    ],
    "only the context that loads the word writes it": [
        '*make_sender.send*: "register" loaded again in *',
        'request_reply.make_client.*: "register" loaded again in *',
        '*make_sender.send*: "head" loaded again in *',
        '*make_receiver.*: "tail" loaded again in *',
        'zero_copy.make_claims.*: "index" loaded again in *',
        'zero_copy.make_claims.*: "head" loaded again in *',
        'zero_copy.make_peeks.*: "index" loaded again in *',
        'zero_copy.make_peeks.*: "lane" loaded again in *',
        'zero_copy.make_peeks.*: "tail" loaded again in *',
        'request_reply.make_client.*: "free" loaded again in *',
        'request_reply.make_client.*: "before" loaded again in *',
        'request_reply.make_client.*: "own[_FREE] = free + 1" swapped with "own[_TAKEN] += 1"',
        'request_reply.make_client.*: "entry[_ISSUED] = *" swapped with "free = own[_FREE]"',
        'request_reply.make_client.recv_response: "own[_TAKEN] += 1" before "result*',
        'request_reply.make_client.recv_response: "own[_TAKEN] += 1" before "entry*',
        'request_reply.make_client.recv_response: "own[_TAKEN] += 1" before "free*',
        'request_reply.make_client.recv_response: "own[_TAKEN] += 1" before "ptr8*',
        'request_reply.make_client.recv_response: "own[_TAKEN] += 1" before "latency*',
        'request_reply.make_client.recv_response: "own[_TAKEN] += 1" before "*register*',
        '*make_sender.send*: "now = part[_AT]" swapped with "part[_AT_SET] = 0"',
        '*make_sender.send*: "part[_AT_SET] = 0" swapped with "part[_CLOCK] = part[_REGISTER]"',
        '*make_sender.send*: "part[_CLOCK] = part[_REGISTER]" before "now = part[_AT]"',
        '*make_sender.send*_at: "part[_AT] = ticks" swapped with "part[_AT_SET] = 1"',
        '*make_sender.send*_at: "part[_AT_SET] = 1" swapped with "part[_CLOCK] = 0"',
        '*make_sender.send*_at: "part[_CLOCK] = 0" before "part[_AT] = ticks"',
    ],
    "a slot keeps its words until tail is stored": [
        'lanes.make_receiver.recv*: "meta" loaded again in *',
        'lanes.make_receiver.recv*: "stamp" loaded again in *',
        'lanes.make_receiver.recv*: "size" loaded again in *',
        'lanes.make_receiver.recv*: "value" loaded again in *',
        'lanes.make_receiver.next_lane: "other" loaded again in *',
    ],
    "a list's items may be set in any order": [
        '*: "result[*] = *" swapped with "result[*] = *"',
        '*: "result[*] = *" before "result[*] = *"',
        'request_reply._take_reply: "to[*] = *" swapped with "to[*] = *"',
        'request_reply._take_reply: "to[*] = *" before "to[*] = *"',
    ],
    "four words are copied in another order": [
        '*: "to[*] = words[*]" swapped with "to[*] = words[*]"',
        '*: "to[*] = words[*]" before "to[*] = words[*]"',
    ],
    "what is not copied in blocks is copied by words, and what is not by words by bytes": [
        '*: "source <= last" with <*',
        '*: "begin <= last" with <*',
        '*: "while source <= last:" never*',
        '*: "while begin <= last:" never*',
        '*: "if not source & 3:" never',
        '*: "if not target & 3:" never',
        '*: 16 is 17 in "last = end - 16"',
        '*: 4 is 5 in "last = end - 4"',
    ],
    "a buffer is checked once more": [
        '*: "part[_TX_KNOWN] = known" left out',
        '*: "part[_RX_KNOWN] = known" left out',
        '*: "part[_WORDS_KNOWN] = known" left out',
        '*: "own[_*_KNOWN] = known" left out',
        '*: "if known - *_KNOWN] & 1073741823:" always',
        'lanes.check_buffer: "return" left out',
    ],
    "no word of a lane is at 0 or 1": ['lanes.Lanes._free: 0 is 1 in "if lane >= 0:"'],
    "the first epoch is 0, so no message of it can be another's": [
        'fanout.FanoutReceiver.__init__: "if epoch:" always',
    ],
    "a receiver's verbs belong to the context that closes it: none comes between": [
        'fanout.FanoutReceiver.close: "self._was = self._title()" swapped with "self._next_lane*',
        'fanout.FanoutReceiver.close: "self._next_lane = self._refuse" swapped with *',
        'fanout.FanoutReceiver.close: "self._next_lane = self._refuse" before *',
    ],
    "an end is looked at twice": ['waiting.select.choose: "if found is True:" always'],
    "which of the ends that have not been chosen yet comes first is not promised": [
        'lanes.Receiver._attach: 0 is 1 in "self._served = 0"',
    ],
}
HANGING = {
    "it looks again for ever": [
        'latency.make_average.average: "break" left out',
        'latency.make_average.average: "if count == own[_COUNT]:" never',
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


def reason(name):
    """Return why no test can find the mutant of that name, None if one can."""
    return next((why for _, pattern, why in _patterns() if pattern.fullmatch(name)), None)


def stale(names):
    """Return the patterns that fit none of `names`."""
    return [each for each, pattern, _ in _patterns() if not any(map(pattern.fullmatch, names))]
