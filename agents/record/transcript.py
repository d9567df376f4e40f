"""What was said and done in a call, stored as it happens: turns, tool calls, handoffs, each with its event.

LiveKit tells of things inside the event loop; one writer a call puts them into Postgres in that order, so that
nobody waits for the database and a killed worker loses at most the turn in progress.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from livekit.agents import (
    AgentSession,
    ChatContext,
    ChatMessage,
    ConversationItemAddedEvent,
    FunctionCall,
    FunctionCallOutput,
    FunctionToolsExecutedEvent,
)

from agents.record import transcript_store
from app.db import Connection, Database, DatabaseUnavailable, Row
from app.ids import CallId, OrgId, new_id
from app.logs import get_logger
from telephony.calls import Call, EventKind, record_event

log = get_logger(__name__)

WRITE_TRIES = 4
"""With growing pauses, about four seconds in all: a Postgres that restarts costs no turn."""
LATENCIES = {
    "transcription_delay": "transcript",
    "end_of_turn_delay": "end_of_turn",
    "llm_node_ttft": "model",
    "tts_node_ttfb": "speech",
    "e2e_latency": "reply",
}
"""LiveKit's names (seconds) → ours (milliseconds)."""


@dataclass(frozen=True)
class Turn:
    """Something said, or a tool's result. `role` is person, agent or tool; times are aware UTC."""

    role: str
    agent: str | None
    text: str
    started_at: datetime
    ended_at: datetime | None = None
    tool: Mapping[str, Any] | None = None
    interrupted: bool = False
    latency_ms: Mapping[str, int] = field(default_factory=dict[str, int])
    id: UUID = field(default_factory=new_id)


Write = Callable[[Connection], Awaitable[None]]


class Transcript:
    """Stores one call's conversation. Owns the writer task: `close` it."""

    def __init__(self, db: Database, call: Call) -> None:
        self._db = db
        self._org_id: OrgId = call.org_id
        self._call_id: CallId = call.id
        self.turns = 0
        """Things said so far, by either side."""
        self._writes: asyncio.Queue[Write | None] = asyncio.Queue()
        self._writer = asyncio.create_task(self._write_all(), name="transcript")

    def listen(self, session: AgentSession[Any], who_speaks: Callable[[], str]) -> None:
        """Store what this session says and does; `who_speaks` names the agent that has the call."""

        def on_item(event: ConversationItemAddedEvent) -> None:
            if isinstance(event.item, ChatMessage) and (turn := read_message(event.item, who_speaks())):
                self.add_turn(turn)

        def on_tools(event: FunctionToolsExecutedEvent) -> None:
            for call, output in event.zipped():
                self.add_turn(read_tool(call, output, who_speaks()))

        session.on("conversation_item_added", on_item)
        session.on("function_tools_executed", on_tools)

    def add_turn(self, turn: Turn) -> None:
        kind = EventKind.TOOL_CALLED if turn.role == "tool" else EventKind.TURN_ADDED
        self.turns += turn.role != "tool"
        data = {"turn_id": str(turn.id), "role": turn.role, "agent": turn.agent, "text": turn.text}
        if turn.tool:
            data["tool"] = turn.tool["name"]

        async def write(connection: Connection) -> None:
            if await self._insert(connection, turn):
                await record_event(connection, self._org_id, self._call_id, kind, data)

        self._writes.put_nowait(write)

    def add_handoff(self, from_agent: str, to_agent: str) -> None:
        self.add_event(EventKind.HANDOFF_MADE, {"from": from_agent, "to": to_agent})

    def add_event(self, kind: EventKind, data: Mapping[str, Any]) -> None:
        async def write(connection: Connection) -> None:
            await record_event(connection, self._org_id, self._call_id, kind, data)

        self._writes.put_nowait(write)

    async def close(self) -> None:
        """Wait for what is still to be written, at most ten seconds."""
        self._writes.put_nowait(None)
        try:
            await asyncio.wait_for(self._writer, timeout=10)
        except TimeoutError:
            log.error("transcript not fully stored", call_id=str(self._call_id), missing=self._writes.qsize())

    async def _write_all(self) -> None:
        while (write := await self._writes.get()) is not None:
            await self._write(write)

    async def _write(self, write: Write) -> None:
        for attempt in range(WRITE_TRIES):
            try:
                async with self._db.system() as connection:
                    await write(connection)
            except (DatabaseUnavailable, OSError) as error:
                log.warning("transcript waits for Postgres", call_id=str(self._call_id), error=str(error))
                await asyncio.sleep(0.5 * 2**attempt)
            else:
                return
        log.error("a turn could not be stored", call_id=str(self._call_id))

    async def _insert(self, connection: Connection, turn: Turn) -> bool:
        return await transcript_store.insert_turn(
            connection,
            turn_id=turn.id,
            org_id=self._org_id,
            call_id=self._call_id,
            role=turn.role,
            agent=turn.agent,
            text=turn.text,
            tool=turn.tool,
            interrupted=turn.interrupted,
            latency_ms=turn.latency_ms,
            started_at=turn.started_at,
            ended_at=turn.ended_at,
        )


def read_message(message: ChatMessage, agent: str) -> Turn | None:
    """LiveKit's message as a turn; None for what nobody said (instructions, an empty message)."""
    text = (message.text_content or "").strip()
    if not text or message.role not in ("user", "assistant"):
        return None
    times = message.metrics
    started_at = _at(times.get("started_speaking_at") or message.created_at)
    stopped = times.get("stopped_speaking_at")
    return Turn(
        role="person" if message.role == "user" else "agent",
        agent=None if message.role == "user" else agent,
        text=text,
        started_at=started_at,
        ended_at=max(started_at, _at(stopped)) if stopped else None,
        interrupted=message.interrupted,
        latency_ms={ours: round(float(times[name]) * 1000) for name, ours in LATENCIES.items() if name in times},
    )


def read_tool(call: FunctionCall, output: FunctionCallOutput, agent: str) -> Turn:
    return Turn(
        role="tool",
        agent=agent,
        text=output.output,
        tool={"name": call.name, "arguments": _read_arguments(call.arguments), "is_error": output.is_error},
        started_at=_at(call.created_at),
        ended_at=_at(max(call.created_at, output.created_at)),
    )


def write_chat_context(turns: Sequence[Row]) -> ChatContext:
    """Stored turns as the context of a model that goes on from there."""
    context = ChatContext.empty()
    for place, turn in enumerate(turns):
        if turn["role"] != "tool":
            role = "user" if turn["role"] == "person" else "assistant"
            context.add_message(role=role, content=turn["text"], interrupted=turn["interrupted"])
            continue
        tool, call_id = turn["tool"], f"stored_{place}"
        arguments = json.dumps(tool["arguments"])
        called = FunctionCall(call_id=call_id, name=tool["name"], arguments=arguments)
        returned = FunctionCallOutput(
            call_id=call_id, name=tool["name"], output=turn["text"], is_error=tool["is_error"]
        )
        context.insert([called, returned])
    return context


def _read_arguments(arguments: str) -> Any:
    try:
        return json.loads(arguments or "{}")
    except ValueError:
        return {"unreadable": arguments}


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
