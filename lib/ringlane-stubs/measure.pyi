# What it makes are recv, recv_word, peek and release of a receiver with stats=True.
