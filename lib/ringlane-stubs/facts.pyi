CPU_ID: int
CYCLES: str
EXCEPTION: int
RAM_END: int
