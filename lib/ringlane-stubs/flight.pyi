from .tap import Event, Recorder

FILE: str

class FlightRecorder(Recorder):
    run: int
    where: str

    def __init__(
        self, events: int = 32, head: int = 0, size: int = 4096, file: str = "flight.bin"
    ) -> None: ...
    @property
    def before(self) -> list[Event]: ...
    def save(self) -> None: ...

def show(file: str = "flight.bin") -> int: ...
