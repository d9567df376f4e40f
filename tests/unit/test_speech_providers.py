"""Which provider hears, speaks and thinks; an OpenAI-compatible server over its real protocol, and without one."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from livekit.agents import llm, stt, tts
from livekit.plugins import deepgram, openai

from agents.evaluation.judgment import Conversation, RuleJudge, Said
from agents.evaluation.model_judge import JudgeFailed
from agents.speech.hibari import HibariTTS
from agents.speech.moonshine import MoonshineSTT
from agents.speech.registry import (
    Engines,
    ProviderNotConfigured,
    Providers,
    check_providers,
)
from agents.speech.scripted import ScriptedModel
from agents.speech.turns import build_vad
from agents.team.definition import TeamDefinition, Voice
from agents.team.parse import parse_team
from app.settings import Settings

TEAM = """
name: Test
slug: test
entry: reception
agents:
  - name: reception
    instructions: You answer.
    greeting: Hello.
    rules:
      - hear: [opening hours]
        say: We are open all day.
"""


@pytest.fixture
def team() -> TeamDefinition:
    return parse_team(TEAM)


def settings(**values: Any) -> Settings:
    return Settings(home=Path("unused"), **values)


def ask(text: str) -> llm.ChatContext:
    context = llm.ChatContext.empty()
    context.add_message(role="user", content=text)
    return context


async def answer(model: llm.LLM[Any], question: str) -> str:
    async with model.chat(chat_ctx=ask(question)) as stream:
        return "".join([chunk.delta.content or "" async for chunk in stream if chunk.delta])


class ChatServer:
    """What an OpenAI-compatible server does, as far as one streamed answer."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.authorization = ""
        self.words = ["We ", "open ", "at eight."]

    async def complete(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(await request.json())
        self.authorization = request.headers.get("Authorization", "")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for word in self.words:
            chunk = {
                "id": "c1",
                "object": "chat.completion.chunk",
                "created": 1,
                "model": "local",
                "choices": [{"index": 0, "delta": {"role": "assistant", "content": word}, "finish_reason": None}],
            }
            await response.write(f"data: {json.dumps(chunk)}\n\n".encode())
        await response.write(b"data: [DONE]\n\n")
        return response


@pytest.fixture
async def chat_server() -> AsyncIterator[tuple[ChatServer, str]]:
    server = ChatServer()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", server.complete)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    yield server, f"http://127.0.0.1:{port}/v1"
    await runner.cleanup()


async def test_an_openai_compatible_server_answers_as_a_model(
    team: TeamDefinition, chat_server: tuple[ChatServer, str]
) -> None:
    server, url = chat_server
    chosen = settings(llm="openai", openai_base_url=url, openai_api_key="k", openai_model="local")
    providers = Providers(chosen, engines())
    model = providers.build_llm(team, team.agent("reception"), {})
    assert await answer(model, "What are your opening hours?") == "We open at eight."
    assert server.requests[0]["model"] == "local"
    assert server.requests[0]["stream"] is True
    assert server.requests[0]["messages"][-1]["content"] == "What are your opening hours?"
    assert server.authorization == "Bearer k"
    await providers.close()


async def test_the_model_that_answers_calls_judges_them_too(chat_server: tuple[ChatServer, str]) -> None:
    server, url = chat_server
    server.words = ['{"kind": ', '{"score": 1, "reason": "It said please."}}']
    judged = parse_team(TEAM + "evaluation: [{name: kind, check: The agent was kind.}]\n")
    providers = Providers(settings(llm="openai", openai_base_url=url, openai_model="local"), engines())
    judge = providers.build_judge(judged)
    (judgment,) = await judge.judge(judged.evaluation, Conversation([Said("agent", "Please."), Said("person", "Yes.")]))
    assert (judgment.score, judgment.reason) == (1.0, "It said please.")
    assert (judge.name, server.requests[0]["model"]) == ("local", "local")
    await providers.close()


async def test_a_model_that_does_not_answer_judges_nobody(team: TeamDefinition) -> None:
    providers = Providers(settings(llm="openai", openai_base_url="http://127.0.0.1:9/v1"), engines())
    with pytest.raises(JudgeFailed):
        await providers.build_judge(team).judge([], Conversation([]))
    await providers.close()


async def test_a_model_that_does_not_answer_is_replaced_by_the_scripted_one(team: TeamDefinition) -> None:
    chosen = settings(llm="openai", openai_base_url="http://127.0.0.1:9/v1")
    providers = Providers(chosen, engines())
    model = providers.build_llm(team, team.agent("reception"), {})
    assert await answer(model, "What are your opening hours?") == "We are open all day."
    await providers.close()


def test_offline_needs_no_key(team: TeamDefinition) -> None:
    chosen = settings()
    check_providers(chosen)
    providers = Providers(chosen, engines())
    assert isinstance(providers.build_llm(team, team.agent("reception"), {}), ScriptedModel)
    assert isinstance(providers.build_judge(team), RuleJudge)
    assert isinstance(providers.build_stt(build_vad(), "en"), MoonshineSTT)
    assert isinstance(providers.build_tts(Voice()), HibariTTS)


async def test_deepgram_hears_and_speaks_with_the_offline_engines_behind_it() -> None:
    chosen = settings(stt="deepgram", tts="deepgram", deepgram_api_key="k")
    check_providers(chosen)
    providers = Providers(chosen, engines())
    hearing = providers.build_stt(build_vad(), "en-US")
    assert isinstance(hearing, stt.FallbackAdapter)
    assert [type(each) for each in hearing._stt_instances] == [deepgram.STT, MoonshineSTT]
    speaking = providers.build_tts(Voice(deepgram="aura-2-thalia-en", speed=2.0))
    assert isinstance(speaking, tts.FallbackAdapter)
    assert [type(each) for each in speaking._tts_instances] == [deepgram.TTS, HibariTTS]
    assert speaking._tts_instances[0].model == "aura-2-thalia-en"
    await providers.close()


async def test_openai_hears_and_speaks_with_the_offline_engines_behind_it() -> None:
    chosen = settings(stt="openai", tts="openai", openai_api_key="k")
    check_providers(chosen)
    providers = Providers(chosen, engines())
    hearing = providers.build_stt(build_vad(), "en")
    assert isinstance(hearing, stt.FallbackAdapter)
    assert type(hearing._stt_instances[0]).__name__ in ("STT", "StreamAdapter")
    speaking = providers.build_tts(Voice(openai="coral"))
    assert isinstance(speaking, tts.FallbackAdapter)
    assert isinstance(speaking._tts_instances[0], openai.TTS)
    await providers.close()


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ({"stt": "deepgram"}, "DEEPGRAM_API_KEY"),
        ({"tts": "deepgram"}, "DEEPGRAM_API_KEY"),
        ({"llm": "openai"}, "OPENAI_API_KEY"),
        ({"llm": "deepgram", "deepgram_api_key": "k"}, "TRUNKLINE_LLM"),
    ],
)
def test_a_provider_without_its_key_is_named_before_the_first_call(values: dict[str, str], wanted: str) -> None:
    with pytest.raises(ProviderNotConfigured, match=wanted):
        check_providers(settings(**values))


class NoEngine:
    """Building needs engines to point at; nothing here listens or speaks."""


def engines() -> Engines:
    return Engines(NoEngine(), NoEngine())  # type: ignore[arg-type]
