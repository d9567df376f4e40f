"""WAV files as mu-law, and back."""

import io
import wave
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from app.errors import InvalidInput
from telephony.media.g711 import SAMPLE_RATE, Samples, decode_mulaw, encode_mulaw


class BadWav(InvalidInput):
    """Not a 16-bit PCM WAV file."""

    code = "bad_wav"
    title = "Unusable WAV file"


def resample(samples: NDArray[np.float32], rate: int) -> Samples:
    """Mono floats in [-1, 1] at `rate` Hz to 16-bit samples at 8 kHz."""
    narrow = soxr.resample(samples, rate, SAMPLE_RATE) if rate != SAMPLE_RATE else samples
    return (np.clip(narrow, -1.0, 1.0) * 32767.0).astype(np.int16)


def write_wav(payload: bytes | bytearray) -> bytes:
    """A 16-bit, 8 kHz, mono WAV file of a mu-law payload."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(decode_mulaw(bytes(payload)).tobytes())
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
    return encode_mulaw(resample((samples / 32768.0).astype(np.float32), rate))
