"""The carriers' media websockets: a thin wrapper, because telephony does not know FastAPI."""

import contextlib

from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect, WebSocketState

from app.api.dependencies import Parts
from app.logs import get_logger
from telephony.carriers.base import CarrierName
from telephony.media.stream import BadMessage, SocketClosed
from telephony.media.stream_call import carry_stream
from telephony.media.twilio_stream import TwilioStream

router = APIRouter()

log = get_logger(__name__)


class CarrierSocket:
    """`telephony.media.stream.Socket` over Starlette's websocket."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket

    async def receive(self) -> str:
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise SocketClosed(int(message.get("code", 1005)))
        text = message.get("text")
        if text is None:
            raise BadMessage("A binary message; the protocol is text.")
        return text

    async def send(self, text: str) -> None:
        # Starlette says RuntimeError for a socket that is closed already; why it closed, only `receive` can tell.
        try:
            await self._websocket.send_text(text)
        except (WebSocketDisconnect, RuntimeError, OSError) as error:
            raise SocketClosed(1006) from error

    async def close(self, code: int, reason: str) -> None:
        if self._websocket.client_state is WebSocketState.DISCONNECTED:
            return
        with contextlib.suppress(WebSocketDisconnect, RuntimeError, OSError):
            await self._websocket.close(code, reason)


@router.websocket("/media/twilio")
async def carry_twilio(websocket: WebSocket, state: Parts) -> None:
    """One Twilio media stream. Nothing happens before its `start` message brings a valid token for its call."""
    await websocket.accept()
    try:
        await carry_stream(CarrierSocket(websocket), TwilioStream(), state.lines, CarrierName.TWILIO)
    # The outermost loop of a call: whatever broke in it must not reach the server that carries the others.
    except Exception:
        log.exception("a media stream failed")
