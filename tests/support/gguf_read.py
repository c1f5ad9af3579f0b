"""What the header of a GGUF file says: metadata and tensors."""

import dataclasses
import mmap
import struct

from support.gguf import ARRAY, STRING

_FORMS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q",
          11: "<q", 12: "<d"}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Tensor:
    name: str
    sizes: tuple  # the fastest first
    kind: int
    offset: int
    bytes: int  # up to the next one: with what aligns it


class Header:
    """`facts`: metadata by key, of arrays their length; `raw`: each value as the bytes that stand
    there; `tensors` in the order of the file."""

    def __init__(self, path):
        with path.open("rb") as file:
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        magic, version, count, pairs = struct.unpack_from("<4sIQQ", self._data, 0)
        if magic != b"GGUF" or version < 2:
            raise ValueError(f"{path} is not a GGUF file of version 2 or 3")
        self._at = 24
        self.facts, self.raw = {}, {}
        for _ in range(pairs):
            key, begin = self._text(), self._at
            self.facts[key] = self._value(self._number("<I"))
            self.raw[key] = self._data[begin : self._at]
        infos = [self._info() for _ in range(count)]
        alignment = self.facts.get("general.alignment", 32)
        end = len(self._data) - (self._at + -self._at % alignment)
        offsets = sorted(offset for *_, offset in infos) + [end]
        after = dict(zip(offsets, offsets[1:], strict=False))
        self.tensors = [Tensor(*info, after[info[-1]] - info[-1]) for info in infos]
        self._data.close()

    def _info(self):
        name = self._text()
        sizes = tuple(self._number("<Q") for _ in range(self._number("<I")))
        return name, sizes, self._number("<I"), self._number("<Q")

    def _number(self, form):
        (value,) = struct.unpack_from(form, self._data, self._at)
        self._at += struct.calcsize(form)
        return value

    def _text(self):
        size = self._number("<Q")
        self._at += size
        return self._data[self._at - size : self._at].decode("utf-8", "replace")

    def _value(self, kind):
        if kind == STRING:
            return self._text()
        if kind != ARRAY:
            return self._number(_FORMS[kind])
        inner, count = self._number("<I"), self._number("<Q")
        if inner in _FORMS:
            self._at += count * struct.calcsize(_FORMS[inner])
        else:
            for _ in range(count):
                self._value(inner)
        return count
