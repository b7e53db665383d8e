"""stats=True: what a receiver takes is measured. Imported by the first such channel."""

import micropython

from .latency import hang


def measure(end):
    """Let `end`, a receiver, add the latency of what it takes to `end._stats`.

    That is what recv and recv_word take, and release after peek, by the latency that peek gave.
    skip, clear and recv_words add none: nobody has seen a latency of those messages.
    """
    histogram = hang(end)
    add = histogram.add
    take, take_word = end.recv, end.recv_word

    # A call of one of these allocates when cells and arguments together are more than five.

    @micropython.viper
    def recv(buf):
        m = take(buf)
        if m:
            add(m[2])
        return m

    @micropython.viper
    def recv_word():
        m = take_word()
        if m:
            add(m[2])
        return m

    end.recv, end.recv_word = recv, recv_word
    if not hasattr(end, "peek"):
        return
    look, drop = end.peek, end.release
    seen = [0]  # the latency that peek gave last

    @micropython.viper
    def peek():
        m = look()
        if m:
            seen[0] = m[2]
        return m

    @micropython.viper
    def release() -> bool:
        if drop():
            add(seen[0])
            return True
        return False

    end.peek, end.release = peek, release
