"""A binary file whose reads return fewer bytes than asked for, as those of a pipe may."""
import io


class ShortReads(io.BytesIO):
    """read() returns at most `most` bytes, or at most 3 if `most` is less than 3.

    The reader of byte order marks needs 3 bytes at once.
    """

    def __init__(self, data: bytes, most: int) -> None:
        super().__init__(data)
        self.most = max(most, 3)

    def read(self, size: int | None = -1) -> bytes:
        return super().read(size if size is None or size < 0 else min(size, self.most))

    def peek(self, size: int = 0) -> bytes:
        at = self.tell()
        return self.getbuffer()[at:at + size].tobytes()
