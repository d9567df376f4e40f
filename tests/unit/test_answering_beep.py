"""The beep after which a machine records is heard, and nothing that people or networks send is taken for one."""

import wave
from pathlib import Path

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


@pytest.mark.parametrize("hertz", [400, 440, 880, 1000, 1400, 2000])
@pytest.mark.parametrize("seconds", [0.15, 0.5, 1.5])
@pytest.mark.parametrize("offset_seconds", [0.0, 0.007, 0.4])
def test_a_steady_tone_of_150_ms_or_more_is_a_beep_wherever_it_begins(
    hertz: float, seconds: float, offset_seconds: float
) -> None:
    (heard,) = hear(silence(1 + offset_seconds), decode_mulaw(beep(hertz, seconds)), silence(1))
    assert heard.sound is Sound.BEEP
    (tone,) = heard.tones
    assert tone.hertz == pytest.approx(hertz, abs=5)
    assert tone.seconds == pytest.approx(seconds, abs=0.04)


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
    "pair", [(350, 440), (440, 480), (480, 620), (697, 1209), (941, 1477)], ids=["dial", "ring", "busy", "1", "#"]
)
def test_two_sines_at_once_are_a_network_or_a_key_and_no_beep(pair: tuple[float, float]) -> None:
    assert hear(silence(0.5), sines(2.0, *pair), silence(1)) == []


def test_tones_outside_of_the_band_are_none() -> None:
    assert hear(sines(1, 300), silence(1), sines(1, 2500), silence(1)) == []


@pytest.mark.parametrize("name", ["beckett.wav", "two_cities.wav"])
def test_people_who_speak_are_no_beep(name: str) -> None:
    with wave.open(str(RECORDINGS / name)) as file:
        spoken = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        rate = file.getframerate()
    narrow = soxr.resample(spoken.astype(np.float32), rate, SAMPLE_RATE).clip(-32768, 32767).astype(np.int16)
    assert hear(narrow, silence(1)) == []


async def test_drawn_out_vowels_and_hums_are_no_beep(tmp_path: Path) -> None:
    voice = Voice(tmp_path)
    for speed in (0.6, 1.0):
        words = await voice.speak("Ooooooh noooooo, you whoooo. Mmmmmmm. Aaaaaah. Hmm. Ooh.", speed)
        assert hear(decode_mulaw(words), silence(1)) == []
    voice.close()
