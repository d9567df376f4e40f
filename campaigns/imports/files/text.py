"""The encoding of a text file: marks, then UTF-8, then what its odd bytes look like."""

import codecs
import tempfile
import weakref
from typing import BinaryIO

from charset_normalizer import from_bytes

from campaigns.imports.files.rows import UnknownFormat

READ_BYTES = 1 << 20
SAMPLE_BYTES = 64 * 1024
WIDE = ("utf-16", "utf-32")
"""Encodings in which a line end is not one byte; such files are rewritten before they are read by line."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LIKELY = [
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "cp437", "cp850"),
    *("iso8859_2", "iso8859_5", "iso8859_7", "iso8859_9", "koi8_r", "mac_roman"),
    *("gb18030", "big5", "shift_jis", "euc_jp", "euc_kr", "cp949", "tis_620"),
]


def find_encoding(file: BinaryIO, head: bytes) -> str:
    """Python's name of the file's encoding; `head`: its beginning. Leaves the file anywhere.

    UTF-8 with a few broken bytes stays UTF-8: the rows that hold them are the ones to report.
    """
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    if wide := _unmarked_wide(head):
        return wide
    odd_at, saw_utf8 = _first_odd_byte(file)
    if odd_at is None or saw_utf8:
        return "utf-8"
    return _guess(file, odd_at)


def _unmarked_wide(head: bytes) -> str | None:
    """UTF-16 without its mark: of plain letters every second byte is NUL."""
    sample = head[:4096]
    if len(sample) < 4 or sample.count(0) < len(sample) // 4:
        return None
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if odd > 4 * even:
        return "utf-16-le"
    if even > 4 * odd:
        return "utf-16-be"
    raise UnknownFormat("This is no text file. Send CSV, XLSX or JSON.")


def _first_odd_byte(file: BinaryIO) -> tuple[int | None, bool]:
    """Where the first byte stands that UTF-8 does not allow, and whether characters beyond ASCII came before it."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    file.seek(0)
    offset, saw_utf8 = 0, False
    while True:
        block = file.read(READ_BYTES)
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            at = offset + len(block) - len(error.object) + error.start
            return at, saw_utf8 or not error.object[: error.start].isascii()
        saw_utf8 = saw_utf8 or not text.isascii()
        if not block:
            return None, saw_utf8
        offset += len(block)


def _guess(file: BinaryIO, odd_at: int) -> str:
    """From the lines around the first odd byte; Western Windows where nothing fits better."""
    start = max(0, odd_at - SAMPLE_BYTES // 2)
    file.seek(start)
    sample = file.read(SAMPLE_BYTES)
    odd_lines = b"\n".join(line for line in sample.split(b"\n") if not line.isascii())
    found = list(from_bytes(odd_lines or sample, cp_isolation=_LIKELY, preemptive_behaviour=False))
    best = [match for match in found if (match.chaos, match.coherence) == (found[0].chaos, found[0].coherence)]
    # A few letters read as well in all encodings of a family: then it is the one that most files have.
    if not best or any("cp1252" in match.could_be_from_charset for match in best):
        return "cp1252"
    return best[0].encoding


def rewrite_as_utf8(file: BinaryIO, encoding: str, *, owner: object) -> BinaryIO:
    """The same text in a temporary file, which goes with its owner. Bytes that are none become U+FFFD."""
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    file.seek(0)
    narrow = tempfile.TemporaryFile()  # noqa: SIM115 - the owner's
    weakref.finalize(owner, narrow.close)
    while True:
        block = file.read(READ_BYTES)
        narrow.write(decoder.decode(block, final=not block).encode("utf-8", "replace"))
        if not block:
            break
    narrow.seek(0)
    return narrow
