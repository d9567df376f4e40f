"""G.711 mu-law (ITU-T G.711), by table: 8-bit codes ⇄ 16-bit linear samples, one channel, 8,000 a second."""

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]

SAMPLE_RATE = 8000
FRAME_MS = 20
FRAME_SAMPLES = SAMPLE_RATE * FRAME_MS // 1000
FRAME_SECONDS = FRAME_MS / 1000

SILENCE_CODE = 0xFF
"""Positive zero."""
SILENT_FRAME = bytes([SILENCE_CODE]) * FRAME_SAMPLES

BIAS = 0x84
CLIP = 32635


def _build_decode_table() -> Samples:
    """A code is its bits inverted: sign, three bits of exponent, four of mantissa."""
    codes = ~np.arange(256, dtype=np.int32) & 0xFF
    exponent = (codes >> 4) & 0x07
    mantissa = codes & 0x0F
    magnitude = (((mantissa << 3) + BIAS) << exponent) - BIAS
    return np.where(codes & 0x80, -magnitude, magnitude).astype(np.int16)


def _build_encode_table() -> NDArray[np.uint8]:
    """Indexed by the sample's bits read as an unsigned number, so that a view needs no arithmetic."""
    samples = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)
    sign = np.where(samples < 0, 0x80, 0)
    magnitude = np.minimum(np.abs(samples), CLIP) + BIAS
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    return (~(sign | (exponent << 4) | mantissa) & 0xFF).astype(np.uint8)


_DECODE = _build_decode_table()
_ENCODE = _build_encode_table()


def decode_mulaw(codes: bytes) -> Samples:
    """One sample a byte."""
    return _DECODE[np.frombuffer(codes, dtype=np.uint8)]


def encode_mulaw(samples: Samples) -> bytes:
    """One byte a sample."""
    return _ENCODE[np.ascontiguousarray(samples, dtype=np.int16).view(np.uint16)].tobytes()
