"""ringlane on CPython: simulated memory, virtual and emulated boards, what is known of boards."""
