"""peer-vocabulary.py IN OUT COUNT: a GGUF file with another tokenizer of COUNT tokens, for engines
that refuse a vocabulary without byte tokens; ids are given, so the model computes the same."""
import struct
import sys

SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
data = open(sys.argv[1], "rb").read()


def string(at):
    length = struct.unpack_from("<Q", data, at)[0]
    return data[at + 8 : at + 8 + length], at + 8 + length


def value(at, kind):
    if kind == 8:
        return string(at)[1]
    if kind == 9:
        kind, count = struct.unpack_from("<IQ", data, at)
        at += 12
        for _ in range(count):
            at = value(at, kind)
        return at
    return at + SIZES[kind]


def text(bytes_):
    return struct.pack("<Q", len(bytes_)) + bytes_


tensors, pairs = struct.unpack_from("<QQ", data, 8)
at, kept = 24, []
for _ in range(pairs):
    start = at
    key, at = string(at)
    at = value(at + 4, struct.unpack_from("<I", data, at)[0])
    if not key.startswith(b"tokenizer."):
        kept.append(data[start:at])


def strings(key, items):
    packed = b"".join(text(item.encode()) for item in items)
    return text(key) + struct.pack("<IIQ", 9, 8, len(items)) + packed


# GPT-2's alphabet of bytes: line feed and space first, then what prints.
tokens = [chr(0x10A), chr(0x120)] + [chr(c) for c in range(33, 127)]
tokens += [chr(0x100 + i) for i in range(int(sys.argv[3])) if i not in (10, 32)]
kept.append(text(b"tokenizer.ggml.model") + struct.pack("<I", 8) + text(b"gpt2"))
kept.append(strings(b"tokenizer.ggml.tokens", tokens[: int(sys.argv[3])]))
kept.append(strings(b"tokenizer.ggml.merges", ["a b"]))
infos = at
for _ in range(tensors):
    _, at = string(at)
    at += 4 + 8 * struct.unpack_from("<I", data, at)[0] + 4 + 8
header = data[:16] + struct.pack("<Q", len(kept)) + b"".join(kept) + data[infos:at]
header += b"\0" * (-len(header) % 32)
open(sys.argv[2], "wb").write(header + data[at + -at % 32 :])
