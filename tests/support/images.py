"""PNG and JPEG files for tests, made without any library for images."""

import base64
import random
import struct
import zlib

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(colour=(200, 30, 30), width=32, height=32, seed=None):
    """One colour, or noise from a seed."""
    dice = random.Random(seed)
    rows = b"".join(
        b"\0" + (bytes(colour) * width if seed is None else dice.randbytes(3 * width))
        for _ in range(height)
    )
    return png_of(width, height, zlib.compress(rows))


def png_of(width, height, compressed):
    """With any size and data, whether they fit or not."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        _SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", compressed) + chunk(b"IEND", b"")
    )


# Of the JPEG standard (annex K): how many codes of each length, for differences of brightness.
_LENGTHS = bytes([0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0])
_CODES = [0b00, 0b010, 0b011, 0b100, 0b101, 0b110, 0b1110, 0b11110, 0b111110]
_BITS = [2, 3, 3, 3, 3, 3, 4, 5, 6]
_STEP = 8  # a difference of one is one level of grey


def _segment(marker, data):
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


def _frame(marker, width, height):
    return _segment(marker, struct.pack(">BHHB", 8, height, width, 1) + b"\1\x11\0")


def _scan(blocks):
    """Grey squares of 8 × 8 pixels: each is its brightness alone, and an end of block."""
    bits, before = "", 0
    for level in blocks:
        step = level - 128 - before
        before = level - 128
        size = abs(step).bit_length()
        bits += f"{_CODES[size]:0{_BITS[size]}b}"
        if size:
            bits += f"{step if step > 0 else step + (1 << size) - 1:0{size}b}"
        bits += "0"  # the only code of the other table: nothing follows in this block
    bits += "1" * (-len(bits) % 8)
    data = int(bits, 2).to_bytes(len(bits) // 8, "big")
    return data.replace(b"\xff", b"\xff\0")


def jpeg(level=90, width=32, height=32, marker=0xC0, scans=1):
    """Squares of grey, from `level` on. `marker` is that of its frame."""
    count = ((width + 7) // 8) * ((height + 7) // 8)
    blocks = [(level + 13 * index) % 200 + 20 for index in range(count)]
    head = b"\xff\xd8" + _segment(0xDB, b"\0" + bytes([_STEP] * 64))
    head += _frame(marker, width, height)
    head += _segment(0xC4, b"\0" + _LENGTHS + bytes(range(9)))
    head += _segment(0xC4, b"\x10" + bytes([1] + [0] * 15) + b"\0")
    scan = _segment(0xDA, b"\1\1\0\0\x3f\0") + _scan(blocks)
    return head + scan * scans + b"\xff\xd9"


def data_url(file, kind="image/png"):
    return f"data:{kind};base64,{base64.b64encode(file).decode()}"


def mutations(file, count, seed):
    """Files that were damaged: cut off, with other bytes, or with parts missing or twice."""
    dice = random.Random(seed)
    for _ in range(count):
        broken = bytearray(file)
        for _ in range(dice.randint(1, 8)):
            at = dice.randrange(8, len(broken))
            kind = dice.randrange(4)
            if kind == 0:
                broken[at] = dice.randrange(256)
            elif kind == 1:
                del broken[at : at + dice.randint(1, 16)]
            elif kind == 2:
                broken[at:at] = broken[at : at + dice.randint(1, 16)]
            else:
                broken[at] ^= 1 << dice.randrange(8)
            if len(broken) < 10:
                break
        if dice.random() < 0.2:
            del broken[dice.randrange(4, len(broken)) :]
        yield bytes(broken)
