# What it makes are methods of a Channel or PriorityChannel with zero_copy=True, and their senders.
