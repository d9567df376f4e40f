"""The offline brain: a language model, as far as LiveKit can tell, that follows the rules of the team file.

It streams word by word and calls tools as a model does, needs no key, and says the same in the same conversation.
`agents/speech/script.py` decides what; docs/teams.md explains the rules.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from livekit.agents import DEFAULT_API_CONNECT_OPTIONS, NOT_GIVEN, APIConnectOptions, NotGivenOr, llm

from agents.conversation_state import known_values
from agents.speech.script import Reply, Script
from agents.team.definition import AgentDefinition, TeamDefinition


class ScriptedModel(llm.LLM[Any]):
    """The scripted model of one agent; `variables` is what the call knows about the person."""

    def __init__(self, team: TeamDefinition, agent: AgentDefinition, variables: Mapping[str, Any]) -> None:
        super().__init__()
        self.script = Script(team, agent, known_values(team, variables))

    @property
    def model(self) -> str:
        return f"scripted/{self.script.team.slug}/{self.script.agent.name}"

    @property
    def provider(self) -> str:
        return "trunkline"

    def chat(
        self,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool] | None = None,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        parallel_tool_calls: NotGivenOr[bool] = NOT_GIVEN,
        tool_choice: NotGivenOr[llm.ToolChoice] = NOT_GIVEN,
        extra_kwargs: NotGivenOr[dict[str, Any]] = NOT_GIVEN,
    ) -> "ScriptedStream":
        """Answer the conversation; calls only tools that are offered, none where `tool_choice` says so."""
        offered = set[str]() if tool_choice == "none" else {tool.id for tool in tools or []}
        reply = self.script.reply(chat_ctx.items)
        reply = Reply(reply.text, tuple(call for call in reply.calls if call.name in offered))
        return ScriptedStream(self, reply, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class ScriptedStream(llm.LLMStream):
    def __init__(
        self,
        model: ScriptedModel,
        reply: Reply,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool],
        conn_options: APIConnectOptions,
    ) -> None:
        super().__init__(model, chat_ctx=chat_ctx, tools=tools, conn_options=conn_options)
        self._reply = reply

    async def _run(self) -> None:
        """One chunk a word, then one for each tool call, giving way in between so that speech can begin."""
        # Ids follow from the conversation: the same one gives the same answer to the letter.
        chunk_id = f"scripted_{self._chat_ctx.items[-1].id if self._chat_ctx.items else 'start'}"
        words = self._reply.text.split()
        for place, word in enumerate(words):
            text = word if place == len(words) - 1 else word + " "
            self._send(chunk_id, llm.ChoiceDelta(role="assistant", content=text))
            await asyncio.sleep(0)
        for place, call in enumerate(self._reply.calls):
            made = llm.FunctionToolCall(
                name=call.name, arguments=json.dumps(dict(call.arguments)), call_id=f"{chunk_id}_{place}"
            )
            self._send(chunk_id, llm.ChoiceDelta(role="assistant", tool_calls=[made]))
            await asyncio.sleep(0)

    def _send(self, chunk_id: str, delta: llm.ChoiceDelta) -> None:
        self._event_ch.send_nowait(llm.ChatChunk(id=chunk_id, delta=delta))
