"""The bridge between a socket that says what the test lets it say and a room that only listens."""

import asyncio
import json
from typing import Any, cast

from app.db import DatabaseUnavailable
from telephony.media.bridge import MOST_BAD_MESSAGES, Bridge, StreamEnd
from telephony.media.room_leg import RoomEnd
from telephony.media.twilio_stream import TwilioStream

START = json.dumps(
    {
        "event": "start",
        "streamSid": "MZ1",
        "start": {
            "streamSid": "MZ1",
            "callSid": "CA1",
            "accountSid": "AC0",
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        },
    }
)
STOP = json.dumps({"event": "stop", "streamSid": "MZ1", "stop": {"callSid": "CA1"}})


class Line:
    """The carrier's websocket: the test puts messages in."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[str] = asyncio.Queue()

    async def receive(self) -> str:
        return await self.messages.get()

    async def send(self, text: str) -> None: ...

    async def close(self, code: int, reason: str) -> None: ...


class Room:
    """A room with an agent in it, and the keys that it got."""

    def __init__(self) -> None:
        self.pressed: list[str] = []
        self.ended: asyncio.Future[RoomEnd] = asyncio.get_running_loop().create_future()

    async def wait_for_agent(self, timeout_seconds: float) -> bool:
        return True

    async def press(self, digit: str) -> None:
        self.pressed.append(digit)


def started() -> TwilioStream:
    stream = TwilioStream()
    stream.read(START)
    return stream


def key(digit: str) -> str:
    return json.dumps({"event": "dtmf", "streamSid": "MZ1", "dtmf": {"track": "inbound_track", "digit": digit}})


async def test_a_key_that_cannot_be_recorded_reaches_the_room_and_ends_nothing() -> None:
    line, room, recorded, done = Line(), Room(), list[str](), asyncio.Event()

    async def record(digit: str) -> None:
        if digit == "1":
            raise DatabaseUnavailable("Postgres does not answer.")
        recorded.append(digit)
        done.set()

    bridge = Bridge(line, started(), on_key=record)
    running = asyncio.create_task(bridge.run(cast(Any, room)))
    line.messages.put_nowait(key("1"))
    line.messages.put_nowait(key("2"))
    await asyncio.wait_for(done.wait(), 5)
    line.messages.put_nowait(STOP)
    assert await asyncio.wait_for(running, 5) is StreamEnd.CALLER_LEFT
    assert (room.pressed, recorded) == (["1", "2"], ["2"])


async def test_too_many_bad_messages_end_the_stream_and_one_fewer_does_not() -> None:
    for extra, end in ((0, StreamEnd.BAD_STREAM), (-1, StreamEnd.CALLER_LEFT)):
        line = Line()
        for _ in range(MOST_BAD_MESSAGES + extra):
            line.messages.put_nowait("not json")
        line.messages.put_nowait(STOP)
        bridge = Bridge(line, started(), on_key=cast(Any, None))
        assert await asyncio.wait_for(bridge.run(cast(Any, Room())), 5) is end
