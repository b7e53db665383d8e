"""I2C and SPI with a device of the test's behind them."""

from .faults import BoardError, NotSimulated

__tracebackhide__ = True  # to pytest: a failure shows the firmware's lines and the test's

_ENODEV, _EIO = 19, 5


class Registers:
    """An I2C device of 8-bit registers: `Registers({0x0D: 0x2A})`, or over a bytearray.

    A write sets the register to begin with by its first byte, and stores the others from there;
    a read goes on from there.
    """

    def __init__(self, content, size=256):
        self.memory = bytearray(size)
        if isinstance(content, dict):
            for register, value in content.items():
                self.memory[register] = value
        else:
            self.memory[: len(content)] = content
        self._at = 0

    def write(self, data):
        """Take what the controller writes."""
        if data:
            self._at = data[0]
            for byte in data[1:]:
                self.memory[self._at % len(self.memory)] = byte
                self._at += 1

    def read(self, count):
        """Return what the controller reads."""
        part = bytes(self.memory[(self._at + i) % len(self.memory)] for i in range(count))
        self._at += count
        return part


class Bus:
    """One I2C or SPI bus as the test sees it."""

    def __init__(self, title):
        self._title = title
        self._devices = {}

    def attach(self, *where_and_device):
        """I2C: attach(address, device), with write(bytes) and read(count) -> bytes.

        SPI: attach(device), with transfer(bytes) -> as many bytes.
        """
        *where, device = where_and_device
        wanted = ("write", "read") if where else ("transfer",)
        for name in wanted:
            if not hasattr(device, name):
                raise BoardError(f"{self._title}: the device has no {name}(): {device!r}")
        self._devices[where[0] if where else None] = device

    def device(self, where):
        """Return the device there, or None."""
        return self._devices.get(where)

    def addresses(self):
        """Return where there are devices."""
        return sorted(self._devices)


def make(kernel, facts, i2c_buses, spi_buses):
    """Return the board's classes I2C and SPI."""

    first = 0 if facts.port == "rp2" else 1  # an ESP32's SPI(0) is its flash's

    class I2C:
        """machine.I2C and SoftI2C."""

        def __init__(self, id=0, scl=None, sda=None, *, freq=400_000, timeout=50_000):
            if not 0 <= id < facts.i2cs:
                raise ValueError("I2C(%r) doesn't exist" % (id,))
            self._bus = i2c_buses(id)
            self._freq = freq

        def _device(self, address, count):
            kernel.wait(kernel.now + (count + 1) * 9 * 1_000_000 // self._freq, soft=False)
            device = self._bus.device(address)
            if device is None:
                raise OSError(_EIO if facts.port == "rp2" else _ENODEV)
            return device

        def scan(self):
            kernel.wait(kernel.now + 112 * 10 * 1_000_000 // self._freq, soft=False)
            return self._bus.addresses()

        def writeto(self, addr, buf, stop=True):
            self._device(addr, len(buf)).write(bytes(buf))
            return len(buf)

        def readfrom(self, addr, nbytes, stop=True):
            return self._device(addr, nbytes).read(nbytes)

        def readfrom_into(self, addr, buf, stop=True):
            buf[:] = self.readfrom(addr, len(buf))

        def writevto(self, addr, vector, stop=True):
            return self.writeto(addr, b"".join(bytes(each) for each in vector))

        def _register(self, memaddr, addrsize):
            return memaddr.to_bytes(addrsize // 8, "big")

        def writeto_mem(self, addr, memaddr, buf, *, addrsize=8):
            self.writeto(addr, self._register(memaddr, addrsize) + bytes(buf))

        def readfrom_mem(self, addr, memaddr, nbytes, *, addrsize=8):
            self.writeto(addr, self._register(memaddr, addrsize))
            return self.readfrom(addr, nbytes)

        def readfrom_mem_into(self, addr, memaddr, buf, *, addrsize=8):
            buf[:] = self.readfrom_mem(addr, memaddr, len(buf), addrsize=addrsize)

        def init(self, *args, **keywords):
            pass

        deinit = init

    class SPI:
        """machine.SPI and SoftSPI."""

        MSB, LSB = 1, 0

        def __init__(self, id=first, baudrate=1_000_000, **keywords):
            if not first <= id < first + facts.spis:
                raise ValueError("SPI(%r) doesn't exist" % (id,))
            self._bus = spi_buses(id)
            self._number = id
            self._baudrate = baudrate

        def init(self, baudrate=None, **keywords):
            self._baudrate = baudrate or self._baudrate

        def deinit(self):
            pass

        def _transfer(self, data):
            device = self._bus.device(None)
            if device is None:
                raise NotSimulated(
                    f"nothing is wired to SPI({self._number}): in the test, "
                    f"board.spi({self._number}).attach(device)"
                )
            kernel.wait(kernel.now + len(data) * 8 * 1_000_000 // self._baudrate, soft=False)
            answer = bytes(device.transfer(data) or bytes(len(data)))
            if len(answer) != len(data):
                raise BoardError(
                    f"SPI device: {len(data)} bytes went out, {len(answer)} came back"
                )
            return answer

        def write(self, buf):
            self._transfer(bytes(buf))

        def read(self, nbytes, write=0):
            return self._transfer(bytes([write]) * nbytes)

        def readinto(self, buf, write=0):
            buf[:] = self._transfer(bytes([write]) * len(buf))

        def write_readinto(self, write_buf, read_buf):
            read_buf[:] = self._transfer(bytes(write_buf))

    return I2C, SPI


__all__ = ["Bus", "Registers", "make"]
