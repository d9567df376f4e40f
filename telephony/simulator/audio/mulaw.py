"""G.711 mu-law as the carrier sees it, and WAV files.

On purpose not the code of `telephony.media`: the simulator judges that code, so it must not share its mistakes.
"""

import io
import wave
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from app.errors import InvalidInput

RATE = 8000
FRAME_BYTES = 160
FRAME_SECONDS = 0.02
SILENCE = b"\xff" * FRAME_BYTES

Pcm = NDArray[np.int16]


class BadWav(InvalidInput):
    """Not a 16-bit PCM WAV file."""

    code = "bad_wav"
    title = "Unusable WAV file"


def _levels() -> Pcm:
    """What each of the 256 codes stands for (ITU-T G.711, table 2a), as 16-bit samples."""
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    exponent, mantissa = (code >> 4) & 7, code & 15
    magnitude = (((mantissa << 3) + 0x84) << exponent) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


_DECODED = _levels()
_POWER = _DECODED.astype(np.float64) ** 2
# Codes from the most negative level up; 0x7F and 0xFF both mean zero and 0xFF is the one in use.
_ASCENDING = np.concatenate([np.arange(0x00, 0x7F), np.arange(0xFF, 0x7F, -1)]).astype(np.uint8)
_MIDPOINTS = (_DECODED[_ASCENDING][1:].astype(np.int32) + _DECODED[_ASCENDING][:-1]) / 2


def decode(payload: bytes | bytearray) -> Pcm:
    return _DECODED[np.frombuffer(bytes(payload), np.uint8)]


def encode(samples: Pcm) -> bytes:
    """The nearest mu-law code of each sample."""
    return _ASCENDING[np.searchsorted(_MIDPOINTS, samples)].tobytes()


def loudness(frame: bytes) -> float:
    """Root mean square of a frame, in 16-bit sample units (full scale 32767)."""
    return float(np.sqrt(_POWER[np.frombuffer(frame, np.uint8)].mean()))


def resample(samples: NDArray[np.float32], rate: int) -> Pcm:
    """Mono floats in [-1, 1] at `rate` Hz to 16-bit samples at 8 kHz."""
    narrow = soxr.resample(samples, rate, RATE) if rate != RATE else samples
    return (np.clip(narrow, -1.0, 1.0) * 32767.0).astype(np.int16)


def write_wav(payload: bytes | bytearray) -> bytes:
    """A 16-bit, 8 kHz, mono WAV file of a mu-law payload."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(decode(payload).tobytes())
    return out.getvalue()


def save_wav(path: Path, payload: bytes | bytearray) -> None:
    """Write the payload to `path` as a WAV file; a reader never sees half of it."""
    half = path.with_suffix(".part")
    half.write_bytes(write_wav(payload))
    half.replace(path)


def read_wav(source: Path | bytes) -> bytes:
    """The first channel of a 16-bit PCM WAV file of any rate, as mu-law. Raises BadWav."""
    opened = io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")
    try:
        with opened, wave.open(opened, "rb") as file:
            if file.getsampwidth() != 2:
                raise BadWav("Only 16-bit PCM WAV files can be played.")
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")[:: file.getnchannels()]
            rate = file.getframerate()
    except (wave.Error, EOFError) as error:
        raise BadWav(f"Not a WAV file: {error}.") from error
    return encode(resample((samples / 32768.0).astype(np.float32), rate))
