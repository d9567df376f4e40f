"""Mu-law by table, against every sample there is and against FFmpeg's own codec."""

import av
import numpy as np

from telephony.media.g711 import SILENT_FRAME, Samples, decode_mulaw, encode_mulaw

EVERY_SAMPLE: Samples = np.arange(-32768, 32768, dtype=np.int32).astype(np.int16)
EVERY_CODE = bytes(range(256))


def decode_with_ffmpeg(codes: bytes) -> Samples:
    decoder = av.CodecContext.create("pcm_mulaw", "r")
    decoder.sample_rate, decoder.layout = 8000, "mono"  # type: ignore[attr-defined]
    frames = decoder.decode(av.Packet(codes))  # type: ignore[attr-defined]
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames]).astype(np.int16)


def test_every_code_decodes_as_ffmpeg_decodes_it() -> None:
    assert np.array_equal(decode_mulaw(EVERY_CODE), decode_with_ffmpeg(EVERY_CODE))


def test_every_code_survives_the_round_trip_except_negative_zero() -> None:
    back = encode_mulaw(decode_mulaw(EVERY_CODE))
    assert [code for code in range(256) if back[code] != code] == [0x7F]
    assert back[0x7F] == 0xFF


def test_every_sample_comes_back_within_half_a_step_of_its_segment() -> None:
    clipped = np.clip(EVERY_SAMPLE.astype(np.int32), -32635, 32635)
    back = decode_mulaw(encode_mulaw(EVERY_SAMPLE)).astype(np.int32)
    segment = np.floor(np.log2(np.abs(clipped) + 0x84)) - 7
    assert np.all(np.abs(back - clipped) <= 2 ** (segment + 2))


def test_louder_samples_never_decode_quieter() -> None:
    assert np.all(np.diff(decode_mulaw(encode_mulaw(EVERY_SAMPLE)).astype(np.int32)) >= 0)


def test_silence_is_silence() -> None:
    assert not decode_mulaw(SILENT_FRAME).any()
    assert encode_mulaw(np.zeros(160, dtype=np.int16)) == SILENT_FRAME


def test_a_slice_with_strides_encodes_like_its_copy() -> None:
    every_second = EVERY_SAMPLE[::2]
    assert encode_mulaw(every_second) == encode_mulaw(every_second.copy())
