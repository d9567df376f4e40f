"""Twilio's media stream messages, good and bad, and the token that admits a stream."""

import base64
import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from pydantic import SecretStr

from app.ids import CallId, new_id
from app.settings import Settings
from telephony.media.bridge import CallerVoice
from telephony.media.stream import (
    BadMessage,
    CallerAudio,
    Ignorable,
    KeyPressed,
    MarkPlayed,
    StreamStart,
    StreamStop,
)
from telephony.media.stream_token import InvalidStreamToken, StreamGrant, sign_stream_token, verify_stream_token
from telephony.media.twilio_stream import TwilioStream

START: dict[str, Any] = {
    "event": "start",
    "sequenceNumber": "1",
    "start": {
        "accountSid": "AC0",
        "streamSid": "MZ1",
        "callSid": "CA1",
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": {"token": "t"},
    },
    "streamSid": "MZ1",
}
SETTINGS = Settings(secret_key=SecretStr("a-secret-key-of-at-least-32-bytes!"))


def started() -> TwilioStream:
    stream = TwilioStream()
    stream.read(json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
    stream.read(json.dumps(START))
    return stream


def media(payload: str, track: str = "inbound") -> str:
    content = {"track": track, "chunk": "1", "timestamp": "5", "payload": payload}
    return json.dumps({"event": "media", "sequenceNumber": "2", "media": content, "streamSid": "MZ1"})


def test_start_says_which_call_it_is_and_brings_the_token() -> None:
    assert TwilioStream().read(json.dumps(START)) == StreamStart("MZ1", "CA1", "AC0", "t")


def test_a_start_without_parameters_has_no_token() -> None:
    message = json.loads(json.dumps(START))
    del message["start"]["customParameters"]
    start = TwilioStream().read(json.dumps(message))
    assert isinstance(start, StreamStart)
    assert start.token == ""


def test_the_callers_audio_is_bytes() -> None:
    audio = bytes(range(160))
    assert started().read(media(base64.b64encode(audio).decode())) == CallerAudio(audio)


def test_our_own_audio_played_back_to_us_is_ignored() -> None:
    assert started().read(media("AAAA", track="outbound")) == Ignorable()


@pytest.mark.parametrize("digit", list("0123456789*#ABCD"))
def test_every_key_is_understood(digit: str) -> None:
    message = {"event": "dtmf", "streamSid": "MZ1", "dtmf": {"track": "inbound_track", "digit": digit}}
    assert started().read(json.dumps(message)) == KeyPressed(digit)


def test_marks_and_stop_are_understood() -> None:
    stream = started()
    assert stream.read('{"event":"mark","streamSid":"MZ1","mark":{"name":"m"}}') == MarkPlayed("m")
    assert stream.read('{"event":"stop","streamSid":"MZ1","stop":{"callSid":"CA1"}}') == StreamStop()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not json",
        "[]",
        "null",
        '{"event": 7}',
        '{"event": "media"}',
        '{"event": "media", "media": {"payload": 5}}',
        '{"event": "dtmf", "dtmf": {"digit": "55"}}',
        '{"event": "dtmf", "dtmf": {"digit": "x"}}',
        '{"event": "unheard-of"}',
        media("not base64!"),
        media(""),
        media(base64.b64encode(bytes(8001)).decode()),
        media("A" * 70_000),
        json.dumps(START),
        "[" * 30_000,
    ],
)
def test_a_bad_message_is_named_as_such_and_the_stream_goes_on(text: str) -> None:
    stream = started()
    with pytest.raises(BadMessage):
        stream.read(text)
    assert stream.read(media("/////w==")) == CallerAudio(b"\xff\xff\xff\xff")


def test_audio_before_the_start_is_bad() -> None:
    with pytest.raises(BadMessage):
        TwilioStream().read(media("/////w=="))


def test_audio_that_is_not_mu_law_is_refused_at_the_start() -> None:
    message = json.loads(json.dumps(START))
    message["start"]["mediaFormat"]["sampleRate"] = 16000
    with pytest.raises(BadMessage):
        TwilioStream().read(json.dumps(message))


def test_what_we_say_carries_the_streams_id() -> None:
    stream = started()
    assert json.loads(stream.write_audio(b"\xff\x00")) == {
        "event": "media",
        "streamSid": "MZ1",
        "media": {"payload": "/wA="},
    }
    assert json.loads(stream.write_mark("u-1")) == {"event": "mark", "streamSid": "MZ1", "mark": {"name": "u-1"}}
    assert json.loads(stream.write_clear()) == {"event": "clear", "streamSid": "MZ1"}


def test_audio_of_any_length_is_cut_to_whole_frames_without_loss() -> None:
    voice = CallerVoice(now=0.0)
    sent = bytes(n % 251 for n in range(1600))
    cuts = [0, 1, 161, 162, 480, 481, 900, 1600]
    out = b"".join(voice.take(sent[a:b], now=1.0) for a, b in itertools.pairwise(cuts))
    assert out == sent


def test_audio_faster_than_life_is_dropped() -> None:
    voice = CallerVoice(now=0.0)
    taken = sum(len(voice.take(bytes(160), now=0.5)) for _ in range(1000))
    assert taken == 12_000
    assert voice.bytes_dropped == 160_000 - 12_000


def test_a_token_admits_its_own_call() -> None:
    grant = StreamGrant(CallId(new_id()), "CA1")
    token = sign_stream_token(SETTINGS, grant, now=datetime.now(UTC))
    assert verify_stream_token(SETTINGS, token, carrier_call_id="CA1") == grant


@pytest.mark.parametrize("carrier_call_id", ["CA2", ""])
def test_a_token_does_not_admit_another_call(carrier_call_id: str) -> None:
    token = sign_stream_token(SETTINGS, StreamGrant(CallId(new_id()), "CA1"), now=datetime.now(UTC))
    with pytest.raises(InvalidStreamToken):
        verify_stream_token(SETTINGS, token, carrier_call_id=carrier_call_id)


def test_a_token_is_no_longer_good_after_a_minute() -> None:
    issued = datetime.now(UTC) - timedelta(seconds=61)
    token = sign_stream_token(SETTINGS, StreamGrant(CallId(new_id()), "CA1"), now=issued)
    with pytest.raises(InvalidStreamToken):
        verify_stream_token(SETTINGS, token, carrier_call_id="CA1")


@pytest.mark.parametrize(
    ("key", "claims"),
    [
        ("another-key-of-at-least-32-bytes-!!", {}),
        (SETTINGS.secret_key.get_secret_value(), {"aud": "api"}),
        (SETTINGS.secret_key.get_secret_value(), {"sub": "not-a-uuid"}),
        (SETTINGS.secret_key.get_secret_value(), {"exp": None}),
        (SETTINGS.secret_key.get_secret_value(), {"carrier_call_id": None}),
    ],
)
def test_a_token_with_another_key_or_other_claims_is_refused(key: str, claims: dict[str, Any]) -> None:
    good = {"aud": "media", "sub": str(new_id()), "carrier_call_id": "CA1", "exp": datetime.now(UTC) + timedelta(60)}
    changed = {name: value for name, value in (good | claims).items() if value is not None}
    with pytest.raises(InvalidStreamToken):
        verify_stream_token(SETTINGS, jwt.encode(changed, key, algorithm="HS256"), carrier_call_id="CA1")


@pytest.mark.parametrize("token", ["", "x", "a.b.c"])
def test_no_token_is_no_admission(token: str) -> None:
    with pytest.raises(InvalidStreamToken):
        verify_stream_token(SETTINGS, token, carrier_call_id="CA1")


def test_an_installation_without_a_secret_key_admits_nobody() -> None:
    bare = Settings(secret_key=SecretStr(""))
    claims = {"aud": "media", "sub": str(new_id()), "carrier_call_id": "CA1", "exp": datetime.now(UTC) + timedelta(60)}
    with pytest.raises(InvalidStreamToken):
        verify_stream_token(bare, jwt.encode(claims, SETTINGS.secret_key.get_secret_value()), carrier_call_id="CA1")
    with pytest.raises(InvalidStreamToken):
        sign_stream_token(bare, StreamGrant(CallId(new_id()), "CA1"), now=datetime.now(UTC))
