"""Media streams, as a scripted media server sees them."""

import base64

import httpx
import numpy as np
import pytest
from twilio.rest import Client

from telephony.media.g711 import decode_mulaw, encode_mulaw
from telephony.simulator.audio.voice import Voice
from telephony.simulator.exchange import Exchange
from telephony.simulator.people.callee import Callee
from tests.live.simulator.application import Application
from tests.live.simulator.carrier import MEDIA_URL, dial, ended, inline, kinds, samples_of, until


async def test_a_conversation_by_media_stream_is_paced_marked_and_heard_in_full(
    exchange: Exchange, twilio: Client, application: Application, control: httpx.AsyncClient
) -> None:
    inline(
        exchange,
        kind="answers",
        rings_seconds=0.1,
        lines=[{"say": "Yes, I confirm.", "wait_seconds": 10}],
        hangs_up=True,
    )
    application.connect_stream(token="abc", call="42")
    voice = Voice(exchange.audio_dir / "test-voice")
    greeting, answer = await voice.speak("Hello, this is the clinic."), await voice.speak("Thank you, goodbye.")
    voice.close()
    sid = await dial(twilio, "+12025550199")
    await until(lambda: application.streams and application.streams[0].of("media"))
    stream = application.streams[0]
    await stream.play(greeting)
    await stream.send("mark", mark={"name": "greeted"})
    await until(lambda: stream.marks() == ["greeted"])
    position = exchange.live[sid].line.tick * 0.02
    assert position >= len(greeting) / 8000
    await until(lambda: "callee.spoke" in kinds(exchange, sid))
    await stream.play(answer)
    record = await ended(exchange, sid)
    assert record.ended_by == "persona"
    await until(lambda: stream.closed)

    start = stream.of("start")[0]
    assert start["start"]["customParameters"] == {"token": "abc", "call": "42"}
    assert start["start"]["mediaFormat"] == {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
    assert stream.messages[0]["event"] == "connected"
    assert stream.messages[-1]["event"] == "stop"
    numbered = [int(m["sequenceNumber"]) for m in stream.messages[1:-1]]
    assert numbered == list(range(1, len(numbered) + 1))
    media = stream.of("media")
    spoken = b"".join(base64.b64decode(message["media"]["payload"]) for message in media)
    assert len(spoken) == 160 * len(media)
    said = record.report["said"][0]
    assert said["text"] == "Yes, I confirm."
    assert 0 <= said["reply_after_seconds"] < 1.5
    greeting_ends = record.report["heard"][0]["to_seconds"]
    assert said["from_seconds"] >= greeting_ends + 0.68

    heard_wav = samples_of((await control.get(f"/calls/{sid}/heard.wav")).content)
    spoken_wav = samples_of((await control.get(f"/calls/{sid}/spoken.wav")).content)
    assert len(heard_wav) == len(spoken_wav)
    assert decode_mulaw(greeting).tobytes() in heard_wav.tobytes()
    assert decode_mulaw(answer).tobytes() in heard_wav.tobytes()
    seconds = (media[-1]["media"], media[0]["media"])
    assert int(seconds[0]["timestamp"]) - int(seconds[1]["timestamp"]) == (len(media) - 1) * 20


async def test_clear_stops_the_audio_at_once_and_returns_the_marks_that_waited(
    exchange: Exchange, twilio: Client, application: Application
) -> None:
    application.connect_stream()
    sid = await dial(twilio, "+12025550198")
    await until(lambda: application.streams and application.streams[0].of("media"))
    stream, line = application.streams[0], exchange.live[sid].line
    tone = encode_mulaw((np.sin(np.arange(8000 * 10) / 5) * 8000).astype(np.int16))
    await stream.play(tone)
    await stream.send("mark", mark={"name": "end"})
    await until(lambda: line.ear.stretches)
    assert stream.marks() == []
    await stream.send("clear")
    await until(lambda: stream.marks() == ["end"])
    cleared_at = line.tick
    await until(lambda: line.tick > cleared_at + 25)
    assert line.ear.stretches[-1].end <= cleared_at + 1
    await stream.socket.close()  # type: ignore[union-attr]
    record = await ended(exchange, sid)
    assert (record.ended_by, record.status) == ("twiml", "completed")


async def test_bad_media_messages_are_noted_and_disturb_nothing(
    exchange: Exchange, twilio: Client, application: Application
) -> None:
    application.connect_stream()
    sid = await dial(twilio, "+12025550198")
    await until(lambda: application.streams and application.streams[0].of("media"))
    stream = application.streams[0]
    assert stream.socket is not None
    for bad in (
        "not json",
        "[]",
        '{"event":"dance"}',
        '{"event":"media","media":{"payload":"%%%"}}',
        '{"event":"media"}',
    ):
        await stream.socket.send_text(bad)
    await stream.send("mark", mark={"name": "still here"})
    await until(lambda: stream.marks() == ["still here"])
    assert kinds(exchange, sid).count("media.bad_message") == 5


async def test_a_callee_talks_over_the_greeting_and_presses_keys(
    exchange: Exchange, twilio: Client, application: Application
) -> None:
    inline(
        exchange,
        kind="answers",
        rings_seconds=0.1,
        lines=[{"say": "Excuse me.", "barge_in_after_seconds": 0.6, "digits": "12"}],
        hangs_up=True,
        patience_seconds=1,
    )
    application.connect_stream()
    sid = await dial(twilio, "+12025550199")
    await until(lambda: application.streams and application.streams[0].of("media"))
    stream = application.streams[0]
    await stream.play(encode_mulaw((np.sin(np.arange(8000 * 10) / 5) * 8000).astype(np.int16)))
    await until(lambda: len(stream.of("dtmf")) == 2)
    assert [message["dtmf"]["digit"] for message in stream.of("dtmf")] == ["1", "2"]
    callee, line = exchange.live[sid].callee, exchange.live[sid].line
    assert isinstance(callee, Callee)
    assert line is not None
    said = callee.speaker.said
    await until(lambda: said and line.tick > said[0].start + 5)
    await stream.send("clear")
    record = await ended(exchange, sid)
    first = record.report["said"][0]
    assert first["barge_in"]
    assert 0 <= first["heard_stopped_after_seconds"] < 0.3


async def test_voicemail_greets_beeps_records_and_hangs_up(
    exchange: Exchange, twilio: Client, application: Application, control: httpx.AsyncClient
) -> None:
    inline(exchange, kind="voicemail", rings_seconds=0.1, greeting="Leave a message.", records_seconds=1)
    application.connect_stream()
    sid = await dial(twilio, "+12025550199")
    record = await ended(exchange, sid)
    assert record.ended_by == "persona"
    beep = record.report["said"][1]
    spoken = samples_of((await control.get(f"/calls/{sid}/spoken.wav")).content)
    part = spoken[round(beep["from_seconds"] * 8000) : round(beep["to_seconds"] * 8000)]
    spectrum = np.abs(np.fft.rfft(part))
    assert len(part) == 4000
    assert np.argmax(spectrum) * 8000 / len(part) == pytest.approx(1000, abs=5)


async def test_a_media_server_that_refuses_ends_the_stream_and_the_next_verb_runs(
    exchange: Exchange, twilio: Client, application: Application
) -> None:
    application.twiml = (
        f'<Response><Connect><Stream url="{MEDIA_URL}-nowhere"/></Connect><Say>Nobody is here.</Say></Response>'
    )
    sid = await dial(twilio, "+12025550198")
    record = await ended(exchange, sid)
    assert "media.failed" in kinds(exchange, sid)
    assert record.report["heard"]
