"""Machines that pick up, and people who are hard to tell from them, heard over a media stream."""

import asyncio

import numpy as np
import pytest
from twilio.rest import Client

from telephony.media.g711 import encode_mulaw
from telephony.simulator.exchange import Exchange
from tests.live.simulator.application import Application, Conversation
from tests.live.simulator.carrier import dial, ended, inline, kinds, until


def said(record: object) -> list[str]:
    return [utterance["text"] for utterance in record.report["said"]]  # type: ignore[attr-defined]


async def speak(stream: Conversation, seconds: float = 1.0) -> None:
    """A tone that an ear of loudness takes for speech."""
    await stream.play(encode_mulaw((np.sin(np.arange(int(8000 * seconds)) / 5) * 8000).astype(np.int16)))


async def connect(application: Application, twilio: Client) -> tuple[str, Conversation]:
    application.connect_stream()
    sid = await dial(twilio, "+12025550199")
    await until(lambda: application.streams and application.streams[0].of("media"))
    return sid, application.streams[0]


async def test_a_full_mailbox_hangs_up_without_a_beep(
    exchange: Exchange, twilio: Client, application: Application
) -> None:
    inline(exchange, kind="voicemail", rings_seconds=0.1, greeting="The mailbox is full.", full=True)
    sid, _ = await connect(application, twilio)
    assert said(await ended(exchange, sid)) == ["The mailbox is full."]


async def test_a_voicemail_may_beep_as_it_likes(exchange: Exchange, twilio: Client, application: Application) -> None:
    beeps = [{"hertz": 440, "seconds": 0.2}, {"hertz": 880, "seconds": 0.4}]
    inline(exchange, kind="voicemail", rings_seconds=0.1, greeting="Leave a message.", beeps=beeps, records_seconds=1)
    sid, _ = await connect(application, twilio)
    record = await ended(exchange, sid)
    assert said(record) == ["Leave a message.", "(beep)", "(beep)"]
    lengths = [one["to_seconds"] - one["from_seconds"] for one in record.report["said"][1:]]
    assert lengths == [pytest.approx(0.2, abs=0.03), pytest.approx(0.4, abs=0.03)]


async def test_a_menu_repeats_itself_understands_no_speech_and_gives_up(
    exchange: Exchange, twilio: Client, application: Application
) -> None:
    inline(exchange, kind="menu", rings_seconds=0.1, prompt="Press one.", repeats=2, waits_seconds=2)
    sid, stream = await connect(application, twilio)
    await until(lambda: "callee.spoke" in kinds(exchange, sid))
    await speak(stream)
    record = await ended(exchange, sid)
    assert said(record) == ["Press one.", "Sorry, I did not understand.", "Press one."]
    assert record.ended_by == "persona"


@pytest.mark.parametrize("accepts", [True, False])
async def test_a_screened_caller_is_put_through_or_turned_away(
    exchange: Exchange, twilio: Client, application: Application, accepts: bool
) -> None:
    inline(
        exchange,
        kind="screens",
        rings_seconds=0.1,
        prompt="Who is calling?",
        decides_seconds=0.5,
        accepts=accepts,
        declines="Goodbye.",
        patience_seconds=1,
    )
    sid, stream = await connect(application, twilio)
    await until(lambda: "callee.spoke" in kinds(exchange, sid))
    await speak(stream)
    words = said(await ended(exchange, sid))
    assert words == (
        ["Who is calling?", "Thanks. Please stay on the line.", "Hello?"]
        if accepts
        else ["Who is calling?", "Goodbye."]
    )


async def test_somebody_who_picks_up_late_may_speak_first(
    exchange: Exchange, twilio: Client, application: Application
) -> None:
    inline(
        exchange, kind="answers", rings_between=[0.5, 0.6], greets="Hello?", greets_after_seconds=1, patience_seconds=1
    )
    sid, _ = await connect(application, twilio)
    record = await ended(exchange, sid)
    assert said(record) == ["Hello?"]
    assert record.report["said"][0]["from_seconds"] >= 1


async def test_somebody_hangs_up_at_a_word_and_not_before(
    exchange: Exchange, twilio: Client, application: Application
) -> None:
    inline(exchange, kind="answers", rings_seconds=0.1, hangs_up=False, hangs_up_at=["survey"], patience_seconds=30)
    sid, stream = await connect(application, twilio)
    await stream.play(await exchange.voice.speak("Good morning. How are you today?"))
    await asyncio.sleep(4)
    assert sid in exchange.live
    await stream.play(await exchange.voice.speak("We would like to invite you to a short survey."))
    record = await ended(exchange, sid)
    assert record.ended_by == "persona"
    assert "callee.heard_word" in kinds(exchange, sid)
