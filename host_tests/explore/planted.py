"""Programs broken on purpose, so that it can be shown that the explorer would notice.

Each is a scenario of the explorer over one block of words. Its docstring says what is wrong and
what it takes to see it.
"""

from ringlane_host.explore import fence
from ringlane_host.simulate import ptr32, viper


def words(block):
    """Return the block's words."""
    return [ptr32(block)[word] for word in range(len(block) // 4)]


@viper
def add_one(block):
    count = ptr32(block)
    count[0] = count[0] + 1


def lost_update():
    """Two contexts load a counter, add and store: one pre-emption between load and store."""
    block = bytearray(4)

    def check():
        assert words(block) == [2], "an update is lost"

    return lambda: add_one(block), lambda: add_one(block), check


@viper
def publish_early(block):
    slot = ptr32(block)  # words: ready, payload
    slot[0] = 1
    slot[1] = 7


@viper
def publish(block):
    slot = ptr32(block)
    slot[1] = 7
    slot[0] = 1


@viper
def publish_fenced(block):
    slot = ptr32(block)
    slot[1] = 7
    fence()
    slot[0] = 1


@viper
def take(block) -> int:
    slot = ptr32(block)
    if slot[0]:
        return slot[1]
    return 7


@viper
def take_fenced(block) -> int:
    slot = ptr32(block)
    if slot[0]:
        fence()
        return slot[1]
    return 7


def publishing(send, take=take):
    """Return the scenario of a message that is sent by `send` and taken by `take`."""

    def scenario():
        block = bytearray(8)
        got = []

        def check():
            assert got == [7], f"read before it was written: {got}"

        return lambda: send(block), lambda: got.append(take(block)), check

    scenario.__name__ = send.__name__
    return scenario


@viper
def release_early(block) -> int:
    slot = ptr32(block)  # words: full, payload
    slot[0] = 0
    return slot[1]


@viper
def put_next(block):
    slot = ptr32(block)
    if not slot[0]:
        slot[1] = 8
        slot[0] = 1


def release_before_copy():
    """The reader gives its slot back before it has read it: one pre-emption in between."""
    block = bytearray(8)
    publish(block)
    got = []

    def check():
        assert got == [7], f"overwritten before it was read: {got}"

    return lambda: got.append(release_early(block)), lambda: put_next(block), check


@viper
def read_word(block) -> int:
    return ptr32(block)[0]


def nested_update():
    """Two handlers share a counter, the call only reads it: the second within the first."""
    block = bytearray(4)

    def check():
        assert words(block) == [2], "an update is lost"

    return lambda: read_word(block), lambda: add_one(block), lambda: add_one(block), check


@viper
def read_three(block) -> int:
    word = ptr32(block)
    first = word[0]
    second = word[0]
    return first << 8 | second << 4 | word[0]


def changed_twice():
    """The call copes with a word that changes once: the handlers at two points of it."""
    block = bytearray(4)
    got = []

    def check():
        assert got != [0x012], "it changed twice"

    contexts = (
        lambda: got.append(read_three(block)),
        lambda: add_one(block),
        lambda: add_one(block),
    )
    return *contexts, check


@viper
def pulse(block):
    word = ptr32(block)
    word[0] = 1
    word[0] = 0


@viper
def read_two(block) -> int:
    word = ptr32(block)
    first = word[0]
    return first << 4 | word[0]


def seen_pulse():
    """A reader sees a word that is 1 for an instant, and then not: two pre-emptions."""
    block = bytearray(4)
    got = []

    def check():
        assert got != [0x10], "the pulse was seen"

    return lambda: got.append(read_two(block)), lambda: pulse(block), check


@viper
def count_up(block):
    word = ptr32(block)
    word[0] = 1
    word[0] = 2
    word[0] = 3


def seen_counting():
    """A reader sees every value of a word: four pre-emptions."""
    block = bytearray(4)
    got = []

    def check():
        assert got != [0x123], "every value was seen"

    return lambda: got.append(read_three(block)), lambda: count_up(block), check


# Words of the wake-up protocol: waiting, head; the tail is 0.


@viper
def wait_for_message(block, fenced: bool) -> bool:
    word = ptr32(block)
    word[0] = 1
    if fenced:
        fence()
    return word[1] == 0  # then it sleeps until it is woken


@viper
def send_and_wake(block, fenced: bool) -> bool:
    word = ptr32(block)
    word[1] = 1
    if fenced:
        fence()
    return word[0] == 1  # then it wakes the waiter


def lost_wakeup(waiter=False, sender=False):
    """Each side stores its word before it loads the other's, which takes a fence on both sides."""

    def scenario():
        block = bytearray(8)
        sleeps = []
        wakes = []

        def check():
            assert sleeps != [True] or wakes == [True], "asleep, with a message"

        return (
            lambda: sleeps.append(wait_for_message(block, waiter)),
            lambda: wakes.append(send_and_wake(block, sender)),
            check,
        )

    scenario.__name__ = "lost_wakeup"
    return scenario
