"""The beep after which a machine records is heard, and nothing that people or networks send is taken for one."""

import wave
from pathlib import Path

import av
import livekit.agents
import moonshine_voice
import numpy as np
import pytest
import soxr
import yaml
from numpy.typing import NDArray

from agents.answering.beep import SETTLE_SECONDS, BeepDetector, Heard, Sound
from telephony.media.g711 import SAMPLE_RATE, decode_mulaw, encode_mulaw
from telephony.simulator.audio.voice import Voice, beep
from telephony.simulator.people import persona as personas

HEARD_RATE = 16_000
FRAME_SAMPLES = 512
PERSONAS = yaml.safe_load((Path(personas.__file__).parent / "personas.yaml").read_text())["personas"]
RECORDINGS = Path(moonshine_voice.__file__).parent / "assets"
HOLD_MUSIC = Path(livekit.agents.__file__).parent / "resources" / "hold_music.ogg"

KEY_LOW, KEY_HIGH = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
NOTES = (523.25, 587.33, 659.25, 698.46, 783.99, 880.0, 987.77, 1046.5)

Samples = NDArray[np.int16]


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * SAMPLE_RATE), np.int16)


def sines(seconds: float, *hertz: float, level: float = 6000.0) -> Samples:
    moments = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    waves = np.sin(2 * np.pi * np.outer(hertz, moments))
    return (level * waves.sum(axis=0)).astype(np.int16)


def hear(*parts: Samples) -> list[Heard]:
    """What a detector tells of a telephone line's audio, as an agent gets it: at 16 kHz, 32 ms at a time."""
    line = decode_mulaw(encode_mulaw(np.concatenate(parts)))
    wide = soxr.resample(line.astype(np.float32), SAMPLE_RATE, HEARD_RATE).clip(-32768, 32767).astype(np.int16)
    detector = BeepDetector(HEARD_RATE)
    frames = (wide[at : at + FRAME_SAMPLES] for at in range(0, len(wide), FRAME_SAMPLES))
    return [heard for frame in frames if (heard := detector.hear(frame)) is not None]


def read_recording(name: str) -> Samples:
    """Somebody who speaks, as a telephone has it."""
    with wave.open(str(RECORDINGS / name)) as file:
        spoken = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        rate = file.getframerate()
    return soxr.resample(spoken.astype(np.float32), rate, SAMPLE_RATE).clip(-32768, 32767).astype(np.int16)


@pytest.mark.parametrize("hertz", [400, 425, 440, 620, 880, 1000, 1400, 2000])
@pytest.mark.parametrize("seconds", [0.15, 0.25, 0.5])
@pytest.mark.parametrize("offset_seconds", [0.0, 0.007, 0.4])
def test_a_steady_tone_of_150_ms_or_more_is_a_beep_wherever_it_begins(
    hertz: float, seconds: float, offset_seconds: float
) -> None:
    (heard,) = hear(silence(1 + offset_seconds), decode_mulaw(beep(hertz, seconds)), silence(1))
    assert heard.sound is Sound.BEEP
    (tone,) = heard.tones
    assert tone.hertz == pytest.approx(hertz, abs=5)
    assert tone.seconds == pytest.approx(seconds, abs=0.04)


@pytest.mark.parametrize("hertz", [440, 880, 1000, 1400])
@pytest.mark.parametrize("seconds", [1.0, 1.5, 3.0])
def test_a_long_beep_is_one(hertz: float, seconds: float) -> None:
    (heard,) = hear(silence(1), decode_mulaw(beep(hertz, seconds)), silence(1))
    assert heard.tones[0].seconds == pytest.approx(seconds, abs=0.04)


@pytest.mark.parametrize("rest_seconds", [0.1, 0.2])
def test_three_beeps_of_one_pitch_are_a_machine(rest_seconds: float) -> None:
    one = [sines(0.2, 950), silence(rest_seconds)]
    (heard,) = hear(silence(1), *one, *one, *one, silence(1))
    assert (heard.sound, len(heard.tones)) == (Sound.BEEP, 3)


def test_a_soft_beep_on_a_noisy_line_is_heard() -> None:
    noise = np.random.default_rng(4).normal(0, 40, 3 * SAMPLE_RATE).astype(np.int16)
    noise[SAMPLE_RATE : SAMPLE_RATE + 4000] += sines(0.5, 950, level=600)
    assert [heard.sound for heard in hear(noise)] == [Sound.BEEP]


def test_a_short_blip_is_none() -> None:
    assert hear(silence(1), decode_mulaw(beep(1000, 0.1)), silence(1)) == []


@pytest.mark.parametrize("kind", [name for name, one in PERSONAS.items() if one["kind"] == "voicemail"])
async def test_every_beep_of_the_simulators_machines_is_heard_after_its_greeting_and_told_once(
    kind: str, tmp_path: Path
) -> None:
    machine = personas.Voicemail.model_validate(PERSONAS[kind])
    voice = Voice(tmp_path)
    greeting = decode_mulaw(await voice.speak(machine.greeting))
    voice.close()
    beeps = [] if machine.full else [decode_mulaw(beep(one.hertz, one.seconds)) for one in machine.beeps]
    heard = hear(greeting, silence(machine.pause_seconds), *beeps, silence(1))
    assert [one.sound for one in heard] == ([Sound.BEEP] if beeps else [])
    if heard:
        sounded = sum(len(one) for one in beeps) / SAMPLE_RATE
        over = len(greeting) / SAMPLE_RATE + machine.pause_seconds + sounded
        assert heard[0].tones[-1].ended_seconds == pytest.approx(over, abs=0.04)


def test_two_beeps_with_a_pause_are_one_group_told_after_the_second() -> None:
    first, second = decode_mulaw(beep(440, 0.2)), decode_mulaw(beep(880, 0.3))
    (heard,) = hear(silence(0.5), first, silence(SETTLE_SECONDS - 0.1), second, silence(1))
    assert [round(tone.hertz, -1) for tone in heard.tones] == [440, 880]


@pytest.mark.parametrize(
    "tones", [((913.8, 0.274), (1370.6, 0.274), (1776.7, 0.38)), ((985.2, 0.38), (1428.5, 0.274), (1776.7, 0.38))]
)
def test_the_networks_three_notes_are_told_apart_from_a_beep(tones: tuple[tuple[float, float], ...]) -> None:
    (heard,) = hear(silence(0.5), *(sines(seconds, hertz) for hertz, seconds in tones), silence(1))
    assert heard.sound is Sound.SIT


@pytest.mark.parametrize(
    "pair",
    [(350, 440), (440, 480), (480, 620), *((low, high) for low in KEY_LOW for high in KEY_HIGH)],
)
@pytest.mark.parametrize("seconds", [0.1, 0.25, 2.0])
def test_two_sines_at_once_are_a_network_or_a_key_and_no_beep(pair: tuple[float, float], seconds: float) -> None:
    assert hear(silence(0.5), sines(seconds, *pair), silence(1)) == []


@pytest.mark.parametrize("seconds", [0.67, 1.0, 1.5])
def test_ringing_elsewhere_than_in_america_is_no_beep(seconds: float) -> None:
    ring = [sines(seconds, 425), silence(3)]
    assert hear(silence(0.5), *ring, *ring) == []


def test_tones_outside_of_the_band_are_none() -> None:
    assert hear(sines(1, 300), silence(1), sines(1, 2500), silence(1)) == []


def test_a_tone_after_which_somebody_speaks_on_is_none() -> None:
    speech = read_recording("beckett.wav")
    first_word = int(np.argmax(np.abs(speech) > 3000))
    assert hear(silence(1), sines(0.5, 950, level=4000), speech[first_word:], silence(1)) == []


def test_a_note_that_fades_is_none() -> None:
    moments = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    struck = (sines(1.0, 880, level=12000) * np.exp(-moments / 0.35)).astype(np.int16)
    assert hear(silence(1), struck, silence(1)) == []


@pytest.mark.parametrize("rest_seconds", [0.0, 0.1, 0.4, 1.0])
@pytest.mark.parametrize("note_seconds", [0.2, 0.5])
def test_a_melody_of_pure_notes_is_none_once_it_is_known_for_one(rest_seconds: float, note_seconds: float) -> None:
    begins = [sines(0.2, hertz) for hertz in NOTES[:3]]
    notes = [part for hertz in NOTES for part in (sines(note_seconds, hertz), silence(rest_seconds))]
    assert hear(silence(1), *begins, silence(0.4), *notes, *notes, silence(1)) == []


def test_a_machine_beeps_after_the_melody_of_its_greeting() -> None:
    melody = [sines(0.2, hertz) for hertz in NOTES]
    greeting = read_recording("beckett.wav")[: 5 * SAMPLE_RATE]
    (heard,) = hear(silence(1), *melody, silence(0.4), greeting, silence(0.5), sines(0.5, 1000), silence(1))
    assert heard.tones[0].hertz == pytest.approx(1000, abs=5)


@pytest.mark.parametrize("chord", [(523.25, 659.25, 783.99), (440.0, 554.37, 659.25), (587.33, 880.0)])
def test_chords_are_none(chord: tuple[float, ...]) -> None:
    assert hear(silence(1), sines(1.0, *chord, level=3000), silence(1)) == []


@pytest.mark.parametrize("gain", [0.3, 1.0, 3.0])
def test_a_minute_of_hold_music_has_no_beep(gain: float) -> None:
    """LiveKit's own: one of its notes was taken for a beep."""
    decoder = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
    with av.open(str(HOLD_MUSIC)) as file:
        frames = [heard.to_ndarray()[0] for frame in file.decode(audio=0) for heard in decoder.resample(frame)]
    music = np.concatenate(frames).astype(np.float32) * gain
    assert len(music) > 50 * SAMPLE_RATE
    assert hear(music.clip(-32768, 32767).astype(np.int16), silence(1)) == []


@pytest.mark.parametrize("name", ["beckett.wav", "two_cities.wav"])
def test_people_who_speak_are_no_beep(name: str) -> None:
    assert hear(read_recording(name), silence(1)) == []


async def test_drawn_out_vowels_and_hums_are_no_beep(tmp_path: Path) -> None:
    voice = Voice(tmp_path)
    for speed in (0.6, 1.0):
        words = await voice.speak("Ooooooh noooooo, you whoooo. Mmmmmmm. Aaaaaah. Hmm. Ooh.", speed)
        assert hear(decode_mulaw(words), silence(1)) == []
    voice.close()
