"""What the simulated carrier makes of TwiML."""

import pytest
from twilio.twiml.voice_response import Connect, Stream, VoiceResponse

from telephony.simulator.calls.twiml import (
    BadTwiml,
    ConnectStream,
    Hangup,
    Pause,
    Play,
    Redirect,
    Reject,
    Say,
    parse_document,
)

BASE = "https://app.example/voice/answer?x=1"


def test_a_document_of_the_twilio_sdk_becomes_its_verbs_in_order() -> None:
    response, connect, stream = VoiceResponse(), Connect(), Stream(url="wss://app.example/media")
    stream.parameter(name="token", value="a&b<c")
    connect.append(stream)
    response.append(connect)
    response.say("It's 5 < 6 & true", loop=2)
    response.pause(length=3)
    response.play("greeting.wav")
    response.redirect("/next", method="GET")
    response.reject(reason="busy")
    response.hangup()
    assert parse_document(str(response), BASE) == (
        ConnectStream("wss://app.example/media", {"token": "a&b<c"}),
        Say("It's 5 < 6 & true", 2),
        Pause(3.0),
        Play("https://app.example/voice/greeting.wav"),
        Redirect("https://app.example/next", "GET"),
        Reject("busy"),
        Hangup(),
    )


def test_an_empty_response_has_no_verbs() -> None:
    assert parse_document("<Response/>", BASE) == ()


def test_the_query_of_a_stream_url_is_dropped_as_twilio_does() -> None:
    text = '<Response><Connect><Stream url="wss://a.example/m?token=1"/></Connect></Response>'
    assert parse_document(text, BASE) == (ConnectStream("wss://a.example/m", {}),)


@pytest.mark.parametrize(
    ("text", "error_code"),
    [
        ("", 12100),
        ("hello", 12100),
        ("<Response>", 12100),
        ("<Response><Say>&nothing;</Say></Response>", 12100),
        ('<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><Response><Say>&b;</Say></Response>', 12100),
        ('<!DOCTYPE x SYSTEM "file:///etc/hostname"><Response/>', 12100),
        ("<Response><Say>" + "a" * 70_000 + "</Say></Response>", 12100),
        ("<Answer/>", 12200),
        ("<Response><Dial>+12025550111</Dial></Response>", 12200),
        ("<Response><Pause length='soon'/></Response>", 12200),
        ("<Response><Connect/></Response>", 12200),
        ("<Response><Connect><Stream url='https://a.example'/></Connect></Response>", 12200),
        (
            "<Response><Connect><Stream url='wss://a.example'><Parameter name='t' value='"
            + "x" * 500
            + "'/></Stream></Connect></Response>",
            12200,
        ),
    ],
)
def test_documents_that_cannot_be_executed_carry_twilios_error_code(text: str, error_code: int) -> None:
    with pytest.raises(BadTwiml) as bad:
        parse_document(text, BASE)
    assert bad.value.error_code == error_code
