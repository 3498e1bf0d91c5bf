"""Archives that nobody honest makes, by name: what breaks or misuses those who unpack them."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import struct
import zipfile
from collections.abc import Callable, Iterator

_BLOCK = 512
Make = Callable[[], bytes]


def hostile_archives() -> dict[str, Make]:
    """Return how each is made; every one must be refused."""
    return dict([*_names(), *_kinds(), *_headers(), *_numbers(), *_damaged(), *_bombs()])


def header(name: bytes, *, kind: bytes = b"0", size: bytes = b"", link: bytes = b"") -> bytes:
    """Return one block of a header with a right checksum; ``size`` is the field as it is."""
    block = bytearray(_BLOCK)
    block[0 : len(name[:100])] = name[:100]
    block[100:107], block[108:115], block[116:123] = b"0000644", b"0000000", b"0000000"
    block[124:136] = (size or b"%011o" % 0).ljust(12, b"\0")[:12]
    block[136:147], block[156:157] = b"00000000000", kind
    block[157 : 157 + len(link)] = link
    block[257:265] = b"ustar\x0000"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def member(
    name: bytes, content: bytes = b"x", *, kind: bytes = b"0", size: bytes = b"", link: bytes = b""
) -> bytes:
    """Return a header and its content in whole blocks."""
    padded = content + bytes(-len(content) % _BLOCK)
    return header(name, kind=kind, size=size or b"%011o" % len(content), link=link) + padded


def archive(*members: bytes) -> bytes:
    """Return a tar.gz of members, with its end."""
    return gzip.compress(b"".join(members) + bytes(2 * _BLOCK), 1, mtime=0)


def pax(records: bytes, *, kind: bytes = b"x") -> bytes:
    """Return a header of PAX records."""
    return member(b"PaxHeader", records, kind=kind)


def record(keyword: bytes, value: bytes) -> bytes:
    """Return one PAX record with its right length."""
    body = b" " + keyword + b"=" + value + b"\n"
    length = len(body) + 1
    while len(b"%d" % length) + len(body) != length:
        length = len(b"%d" % length) + len(body)
    return b"%d" % length + body


def _names() -> Iterator[tuple[str, Make]]:
    names = {
        "absolute": b"/etc/evil",
        "two slashes": b"//evil",
        "parent": b"../evil",
        "parent of a folder": b"a/../../evil",
        "parent at the end": b"a/..",
        "parent, and back": b"a/../a/evil",
        "backslashes": b"a\\..\\evil",
        "a drive": b"C:\\evil",
        "no name": b"",
    }
    for what, name in names.items():
        yield what, lambda name=name: archive(member(b"good"), member(name))  # type: ignore[misc]
        if name:
            yield (
                f"{what}, by PAX",
                lambda name=name: archive(pax(record(b"path", name)), member(b"a")),  # type: ignore[misc]
            )
            yield (
                f"{what}, by GNU",
                lambda name=name: archive(member(b"l", name + b"\0", kind=b"L"), member(b"a")),  # type: ignore[misc]
            )
    yield "NUL by PAX", lambda: archive(pax(record(b"path", b"a\0b")), member(b"a"))
    yield "a part of 300", lambda: archive(pax(record(b"path", b"a" * 300)), member(b"a"))
    yield "5,000 letters", lambda: archive(pax(record(b"path", b"ab/" * 1700)), member(b"a"))
    yield "1,500 folders deep", lambda: archive(pax(record(b"path", b"a/" * 1500)), member(b"a"))
    yield "twice", lambda: archive(member(b"a"), member(b"a"))
    yield "a file as a folder", lambda: archive(member(b"a"), member(b"a/b"))
    yield "a folder as a file", lambda: archive(member(b"a/b"), member(b"a"))


def _kinds() -> Iterator[tuple[str, Make]]:
    for what, kind in {
        "symbolic link": b"2",
        "hard link": b"1",
        "character device": b"3",
        "block device": b"4",
        "pipe": b"6",
    }.items():
        yield (
            what,
            lambda kind=kind: archive(member(b"a", b"", kind=kind, link=b"/etc/passwd")),  # type: ignore[misc]
        )
    yield (
        "through a link",
        lambda: archive(member(b"d", b"", kind=b"2", link=b"/tmp"), member(b"d/evil")),
    )
    yield "through itself", lambda: archive(member(b"a", b"", kind=b"1", link=b"a"))
    yield (
        "link by PAX",
        lambda: archive(pax(record(b"linkpath", b"../../etc")), member(b"a", b"", kind=b"2")),
    )
    yield "sparse of old GNU", lambda: archive(member(b"a", kind=b"S"))
    yield (
        "sparse 0.0",
        lambda: archive(
            pax(record(b"GNU.sparse.size", b"9") + record(b"GNU.sparse.numblocks", b"x")),
            member(b"a"),
        ),
    )
    yield "sparse 0.1", lambda: archive(pax(record(b"GNU.sparse.map", b"a,b")), member(b"a"))
    yield (
        "sparse 1.0",
        lambda: archive(
            pax(
                record(b"GNU.sparse.major", b"1")
                + record(b"GNU.sparse.minor", b"0")
                + record(b"GNU.sparse.realsize", b"99999999999999")
            ),
            member(b"a", b"9999999\n"),
        ),
    )


def _headers() -> Iterator[tuple[str, Make]]:
    large = b"a" * (8 << 20)
    yield "PAX of 8 MB", lambda: archive(pax(record(b"comment", large)), member(b"a"))
    yield (
        "PAX of many records",
        lambda: archive(
            pax(b"".join(record(b"%07d" % number, b"") for number in range(60_000))), member(b"a")
        ),
    )
    yield (
        "global PAX of 8 MB",
        lambda: archive(pax(record(b"comment", large), kind=b"g"), member(b"a")),
    )
    yield (
        "many global PAX",
        lambda: archive(
            *(
                pax(record(b"k%d" % n, b"v" * 400), kind=b"g") + member(b"m%d" % n)
                for n in range(99)
            )
        ),
    )
    yield "long name of 8 MB", lambda: archive(member(b"l", large, kind=b"L"), member(b"a"))
    yield "long link of 8 MB", lambda: archive(member(b"l", large, kind=b"K"), member(b"a"))
    for kind in b"LKxgX":
        yield (
            f"2,000 headers of type {chr(kind)} in front",
            lambda kind=kind: archive(  # type: ignore[misc]
                *[member(b"l", b"n\0", kind=bytes([kind]))] * 2000, member(b"a")
            ),
        )
    yield (
        "headers in turns",
        lambda: archive(
            *[member(b"l", b"n\0", kind=b"L"), pax(record(b"a", b"b"))] * 900, member(b"a")
        ),
    )
    yield "PAX record of no length", lambda: archive(pax(b"0 a=b\n"), member(b"a"))
    yield "PAX size of words", lambda: archive(pax(record(b"size", b"many")), member(b"a"))
    yield "PAX size below zero", lambda: archive(pax(record(b"size", b"-512")), member(b"a"))
    yield "PAX size beyond all", lambda: archive(pax(record(b"size", b"9" * 5000)), member(b"a"))
    yield "PAX size of an exabyte", lambda: archive(pax(record(b"size", b"1" * 18)), member(b"a"))
    yield "PAX charset", lambda: archive(pax(b"22 hdrcharset=\xff\xfe\xff\xfe\n"), member(b"a"))
    yield "a header that ends there", lambda: archive(member(b"l", b"n", kind=b"L"))


def _numbers() -> Iterator[tuple[str, Make]]:
    sizes = {
        "size of words": b"manybytes\0\0\0",
        "size beyond octal": b"99999999999\0",
        "size below zero": b"\xff" * 11 + b"\x00",
        "size below a block": b"\xff" * 4 + struct.pack(">q", -1024),
        "size beyond all": b"\x80" + b"\xff" * 11,
        "size of an exabyte": b"\x80" + bytes(3) + struct.pack(">q", 1 << 60),
        "size beyond the end": b"%011o" % 5000,
    }
    for what, size in sizes.items():
        yield what, lambda size=size: archive(header(b"a", size=size) + bytes(_BLOCK))  # type: ignore[misc]
        yield (
            f"{what} of a header",
            lambda size=size: archive(header(b"l", kind=b"L", size=size), member(b"a")),  # type: ignore[misc]
        )
    yield "wrong checksum", lambda: archive(member(b"good"), b"x" + member(b"aa")[1:])


def _damaged() -> Iterator[tuple[str, Make]]:
    noise = random.Random(7).randbytes(5000)
    whole = archive(member(b"a", noise), member(b"b", noise))
    for cut in (0, 1, 5, 12, 60, 700, len(whole) - 9, len(whole) - 1):
        yield f"cut at {cut}", lambda cut=cut: whole[:cut]  # type: ignore[misc]
    for place in (3, 20, 900, len(whole) - 6, len(whole) - 2):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        yield f"damaged at {place}", lambda damaged=bytes(damaged): damaged  # type: ignore[misc]
    plain = gzip.decompress(whole)
    yield "no gzip", lambda: plain
    yield "bzip2", lambda: bz2.compress(plain)
    yield "xz", lambda: lzma.compress(plain)
    yield "zip", _zip
    yield "text", lambda: b"<html>not found</html>"
    yield "zeros", lambda: bytes(4096)
    yield "no tar inside", lambda: gzip.compress(noise)
    yield "noise behind the end", lambda: whole + noise


def _bombs() -> Iterator[tuple[str, Make]]:
    yield "a file of zeros", lambda: archive(member(b"a", bytes(40 << 20)))
    yield "zeros behind the end", lambda: gzip.compress(member(b"a") + bytes(40 << 20), 1)
    yield "in two streams", lambda: gzip.compress(bytes(40 << 20), 1) * 2


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("a", "x")
    return buffer.getvalue()
