"""A scripted application: answers webhooks, checks every signature with Twilio's validator, accepts media streams."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response, WebSocket, WebSocketDisconnect
from twilio.request_validator import RequestValidator
from twilio.twiml.voice_response import Connect, Stream, VoiceResponse

from tests.live.simulator.carrier import AUTH_TOKEN, MEDIA_URL, until


@dataclass
class Conversation:
    """What the scripted media server saw of one stream."""

    messages: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    socket: WebSocket | None = None
    closed: bool = False

    def of(self, event: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["event"] == event]

    def marks(self) -> list[str]:
        return [message["mark"]["name"] for message in self.of("mark")]

    async def send(self, event: str, **fields: Any) -> None:
        assert self.socket is not None
        await self.socket.send_json({"event": event, "streamSid": self.of("start")[0]["streamSid"], **fields})

    async def play(self, audio: bytes) -> None:
        await self.send("media", media={"payload": base64.b64encode(audio).decode()})


@dataclass
class Application:
    """The scripted application: answers webhooks with `twiml`, checks each signature, accepts media streams."""

    twiml: str = "<Response><Hangup/></Response>"
    hooks: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    statuses: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    forged: int = 0
    answer_status: int = 200
    status_failures: int = 0
    streams: list[Conversation] = field(default_factory=list[Conversation])

    def build(self) -> FastAPI:
        app, validator = FastAPI(), RequestValidator(AUTH_TOKEN)

        async def params(request: Request) -> dict[str, str]:
            form = {name: str(value) for name, value in (await request.form()).items()}
            signature = request.headers.get("X-Twilio-Signature", "")
            self.forged += not validator.validate(str(request.url), form, signature)
            return form

        @app.post("/voice")
        async def voice(request: Request) -> Response:
            self.hooks.append(await params(request))
            return Response(self.twiml, self.answer_status, media_type="text/xml")

        @app.post("/status")
        async def status(request: Request) -> Response:
            form = await params(request)
            if self.status_failures > 0:
                self.status_failures -= 1
                return Response(status_code=503)
            self.statuses.append(form)
            return Response(status_code=204)

        @app.websocket("/media")
        async def media(socket: WebSocket) -> None:
            signature = socket.headers.get("X-Twilio-Signature", "")
            self.forged += not validator.validate(MEDIA_URL, {}, signature)
            await socket.accept()
            conversation = Conversation(socket=socket)
            self.streams.append(conversation)
            try:
                while True:
                    conversation.messages.append(await socket.receive_json())
            except WebSocketDisconnect:
                conversation.closed = True

        return app

    def connect_stream(self, **parameters: str) -> None:
        response, connect, stream = VoiceResponse(), Connect(), Stream(url=MEDIA_URL)
        for name, value in parameters.items():
            stream.parameter(name=name, value=value)
        connect.append(stream)
        response.append(connect)
        self.twiml = str(response)

    def words(self, sid: str) -> list[str]:
        return [params["CallStatus"] for params in self.statuses if params["CallSid"] == sid]


class QuietServer(uvicorn.Server):
    """Leaves the test run's signal handlers alone."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        serving = asyncio.create_task(self._serve())
        await until(lambda: self.started)
        try:
            yield
        finally:
            self.should_exit = True
            await serving
