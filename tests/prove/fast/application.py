"""The smallest application that a carrier can have: TwiML for every answered call, and a count of what it was told.

python -m tests.prove.fast.application PORT
"""

import json
import sys
from collections import Counter
from typing import Any
from urllib.parse import parse_qs

import uvicorn

TWIML = b"<Response><Connect><Stream url='ws://127.0.0.1:9/media'/></Connect></Response>"
OVER = ("completed", "busy", "no-answer", "failed", "canceled")


class Application:
    """`told`: by word. `next_sequence`: of each call, which callback must be the next one."""

    def __init__(self) -> None:
        self.told: Counter[str] = Counter()
        self.asked = 0
        self.out_of_order = 0
        self.next_sequence: dict[str, int] = {}

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        body = await read_body(receive)
        match scope["path"]:
            case "/voice":
                self.asked += 1
                await answer(send, TWIML)
            case "/status":
                self.take(parse_qs(body.decode()))
                await answer(send, b"")
            case _:
                await answer(send, json.dumps(self.counts()).encode())

    def take(self, params: dict[str, list[str]]) -> None:
        (sid,), (word,), (sequence,) = params["CallSid"], params["CallStatus"], params["SequenceNumber"]
        expected = self.next_sequence.get(sid, 0)
        self.out_of_order += int(sequence) != expected
        self.next_sequence[sid] = expected + 1
        self.told[word] += 1
        if word in OVER:
            del self.next_sequence[sid]

    def counts(self) -> dict[str, int]:
        over = sum(self.told[word] for word in OVER)
        return {
            "asked": self.asked,
            "answered": self.told["in-progress"],
            "told": self.told.total(),
            "over": over,
            "untold": len(self.next_sequence),
            "out_of_order": self.out_of_order,
        }


async def read_body(receive: Any) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


async def answer(send: Any, body: bytes) -> None:
    headers = [(b"content-type", b"text/xml"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    uvicorn.run(Application(), port=int(sys.argv[1]), log_level="error", lifespan="off")  # type: ignore[arg-type]
