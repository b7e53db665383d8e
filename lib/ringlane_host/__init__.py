"""ringlane on the host: simulated, virtual and emulated boards, and the command `ringlane`.

board/      the simulated board: firmware under pytest, in virtual time
plugin.py   pytest's fixture `board`, which runs a test on it or on the emulated Pico
simulate/   MicroPython's names and viper on CPython, on a simulated memory
boards/     what is known of each board, and how a virtual, emulated or real one is reached
command/    the command `ringlane`
package.py  what the package ringlane is made of
engine.py   the words and steps that `make stamp` writes into lib/ringlane
"""
