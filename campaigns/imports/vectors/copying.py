"""Contacts as Postgres takes them fastest: COPY's binary format, a whole share at once.

The format: https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format". A field is its length (-1: null)
and its bytes; jsonb's begin with their version, 1.
"""

import os
import time
from uuid import UUID

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from campaigns.imports.vectors.cells import Bytes, Cells, Ints, join_cells
from campaigns.imports.vectors.plain_rows import PlainRows

COLUMNS = ("org_id", "campaign_id", "import_id", "id", "line", "phone", "name", "variables")

_BEGIN = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"
_FIELDS = len(COLUMNS).to_bytes(2, "big")
_ID_AT, _LINE_AT = 66, 86
"""Where a row's own id and line are in the part that is as long in every row."""


def encode_contacts(org_id: UUID, campaign_id: UUID, import_id: UUID, rows: PlainRows) -> bytes:
    """What `copy … (COLUMNS) from stdin (format binary)` takes. Ids ascend in the order of the file, whatever the
    order of `rows`."""
    count = len(rows)
    numbers = join_cells(rows.numbers)
    assert numbers is not None  # digits
    head = _write_heads(org_id, campaign_id, import_id, rows)
    fields = ((numbers, b""), (rows.names, b""), (rows.variables, b"\1"))
    sizes = head.shape[1] + sum(4 + len(first) + cells.lengths for cells, first in fields)
    places = len(_BEGIN) + np.cumsum(sizes) - sizes
    out = np.empty(len(_BEGIN) + int(sizes.sum()) + len(_END), np.uint8)
    out[: len(_BEGIN)] = np.frombuffer(_BEGIN, np.uint8)
    out[-len(_END) :] = np.frombuffer(_END, np.uint8)
    sliding_window_view(out, head.shape[1], writeable=True)[places] = head
    places = places + head.shape[1]
    for cells, first in fields:
        places = _write_field(out, places, cells, first)
    assert count == 0 or places[-1] == len(out) - len(_END)
    return out.tobytes()


def _write_heads(org_id: UUID, campaign_id: UUID, import_id: UUID, rows: PlainRows) -> Bytes:
    """(rows, bytes): the number of fields, the four ids, and the line."""
    length = (16).to_bytes(4, "big")
    same = _FIELDS + b"".join(length + one.bytes for one in (org_id, campaign_id, import_id))
    same += length + bytes(16) + (4).to_bytes(4, "big") + bytes(4)
    head = np.tile(np.frombuffer(same, np.uint8), (len(rows), 1))
    # In the order of the file: contacts that are due at the same instant are dialed by their ids.
    head[np.argsort(rows.rows), _ID_AT : _ID_AT + 16] = make_ids(len(rows))
    lines = np.asarray(rows.block.lines)[rows.rows].astype(">i4")
    head[:, _LINE_AT : _LINE_AT + 4] = lines.view(np.uint8).reshape(-1, 4)
    return head


def _write_field(out: Bytes, places: Ints, cells: Cells, first: bytes) -> Ints:
    """→ where the next field begins. An empty cell is null, unless something comes before it."""
    lengths = cells.lengths + len(first)
    sizes = np.where(lengths == 0, -1, lengths).astype(">i4")
    sliding_window_view(out, 4, writeable=True)[places] = sizes.view(np.uint8).reshape(-1, 4)
    places = places + 4
    for byte in first:
        out[places] = byte
        places = places + 1
    cells.copy_to(out, places)
    return places + cells.lengths


def make_ids(count: int) -> Bytes:
    """(count, 16): ascending UUIDs of version 7 (RFC 9562): the millisecond, a counter of 18 bits as its section 6.2
    has it, 56 random bits."""
    assert count < 1 << 18
    ids = np.frombuffer(os.urandom(16 * count), np.uint8).reshape(-1, 16).copy()
    ids[:, :6] = np.frombuffer((time.time_ns() // 1_000_000).to_bytes(6, "big"), np.uint8)
    counter = np.arange(count)
    ids[:, 6] = 0x70 | (counter >> 14)
    ids[:, 7] = counter >> 6 & 0xFF
    ids[:, 8] = 0x80 | (counter & 0x3F)
    return ids
