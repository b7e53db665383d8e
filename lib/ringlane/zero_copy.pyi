# What it makes are methods of a Channel or PriorityChannel with views=True, and of their senders.
