"""The parts of a GGUF file that every writer of one needs."""

import struct

ALIGNMENT = 32  # of tensors, in bytes
UINT32, FLOAT, BOOL, STRING, ARRAY = 4, 6, 7, 8, 9  # types of metadata


def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def value_bytes(value):
    if isinstance(value, bool):
        return struct.pack("<I?", BOOL, value)
    if isinstance(value, int):
        return struct.pack("<II", UINT32, value)
    if isinstance(value, float):
        return struct.pack("<If", FLOAT, value)
    return struct.pack("<I", STRING) + text(value)
