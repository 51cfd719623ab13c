"""A file that gives its bytes a few at a time, as a pipe may."""
import io


class Trickle(io.BytesIO):
    """A read that asks for more than `most` bytes gets that many; three are the fewest."""

    def __init__(self, data: bytes, most: int) -> None:
        super().__init__(data)
        self.most = max(most, 3)

    def read(self, size: int | None = -1) -> bytes:
        return super().read(size if size is None or size < 0 else min(size, self.most))

    def peek(self, size: int = 0) -> bytes:
        at = self.tell()
        return self.getbuffer()[at:at + size].tobytes()
