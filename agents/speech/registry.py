"""Who hears, speaks and thinks in a call, by setting and team file.

The offline engines are always loaded: where a paid provider is chosen and fails in a call, they step in, so that
nobody talks to silence. A provider is one file of this folder and one line in each function here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from livekit.agents import inference, llm, stt, tts

from agents.evaluation.judgment import Judge, RuleJudge
from agents.evaluation.model_judge import ModelJudge
from agents.speech import deepgram, openai
from agents.speech.hibari import HibariEngine, HibariTTS
from agents.speech.moonshine import MoonshineEngine, MoonshineSTT
from agents.speech.scripted import ScriptedModel
from agents.speech.turns import warm_turn_models
from agents.team.definition import AgentDefinition, TeamDefinition, Voice
from app.errors import Unavailable
from app.settings import Provider, Settings

MODEL_TIMEOUT_SECONDS = 4.0
"""A model that has said nothing by then is left for the scripted one."""


class ProviderNotConfigured(Unavailable):
    """A provider is chosen that cannot work as configured."""

    code = "provider_not_configured"


@dataclass(frozen=True)
class Engines:
    """What a worker loads once and all its calls share."""

    hearing: MoonshineEngine
    speaking: HibariEngine

    def close(self) -> None:
        self.hearing.close()
        self.speaking.close()


def load_engines() -> Engines:
    """Load every local model; about two seconds. Blocking."""
    warm_turn_models()
    return Engines(MoonshineEngine(), HibariEngine())


def check_providers(settings: Settings) -> None:
    """Raises ProviderNotConfigured with what to set, before the first caller finds out."""
    chosen = {settings.stt, settings.tts, settings.llm}
    if Provider.DEEPGRAM in chosen and not settings.deepgram_api_key.get_secret_value():
        raise ProviderNotConfigured("Deepgram is chosen: set DEEPGRAM_API_KEY.")
    openai_reachable = settings.openai_api_key.get_secret_value() or settings.openai_base_url
    if Provider.OPENAI in chosen and not openai_reachable:
        raise ProviderNotConfigured("OpenAI is chosen: set OPENAI_API_KEY, or OPENAI_BASE_URL for a server of yours.")
    if settings.llm is Provider.DEEPGRAM:
        raise ProviderNotConfigured("Deepgram does not think: set TRUNKLINE_LLM to offline or openai.")


class Closable(Protocol):
    async def aclose(self) -> None: ...


Built = TypeVar("Built", bound=Closable)


class Providers:
    """Who hears, speaks and thinks in one call. Owns what it builds, connections included: close it."""

    def __init__(self, settings: Settings, engines: Engines) -> None:
        self._settings = settings
        self._engines = engines
        self._key = settings.openai_api_key.get_secret_value()
        self._opened: list[Closable] = []

    def build_stt(self, vad: inference.VAD, language: str) -> stt.STT[Any]:
        """Who hears; `language` as in the team file. The offline engine hears English."""
        offline = self._own(MoonshineSTT(self._engines.hearing))
        match self._settings.stt:
            case Provider.OFFLINE:
                return offline
            case Provider.DEEPGRAM:
                chosen = deepgram.build_stt(self._settings.deepgram_api_key.get_secret_value(), language)
            case Provider.OPENAI:
                chosen = openai.build_stt(self._key, self._settings.openai_base_url, language)
        return self._own(stt.FallbackAdapter([self._own(chosen), offline], vad=vad))

    def build_tts(self, voice: Voice) -> tts.TTS[Any]:
        """Who speaks, with this agent's voice."""
        offline = self._own(HibariTTS(self._engines.speaking, voice=voice.offline, speed=voice.speed))
        match self._settings.tts:
            case Provider.OFFLINE:
                return offline
            case Provider.DEEPGRAM:
                chosen = deepgram.build_tts(self._settings.deepgram_api_key.get_secret_value(), voice)
            case Provider.OPENAI:
                chosen = openai.build_tts(self._key, self._settings.openai_base_url, voice)
        return self._own(tts.FallbackAdapter([self._own(chosen), offline]))

    def build_llm(self, team: TeamDefinition, agent: AgentDefinition, variables: Mapping[str, Any]) -> llm.LLM[Any]:
        """Who thinks for this agent."""
        scripted = self._own(ScriptedModel(team, agent, variables))
        if self._settings.llm is Provider.OFFLINE:
            return scripted
        model = agent.model or self._settings.openai_model
        chosen = self._own(openai.build_llm(self._key, self._settings.openai_base_url, model))
        return self._own(llm.FallbackAdapter([chosen, scripted], attempt_timeout=MODEL_TIMEOUT_SECONDS))

    def build_judge(self, team: TeamDefinition) -> Judge:
        """Who says what a conversation was worth: the model that answers calls, else the criteria's own rules."""
        if self._settings.llm is Provider.OFFLINE:
            return RuleJudge()
        model = team.agent(team.entry).model or self._settings.openai_model
        return ModelJudge(self._own(openai.build_llm(self._key, self._settings.openai_base_url, model)))

    async def close(self) -> None:
        """The last one built first: LiveKit's fallbacks leave their members open."""
        for provider in reversed(self._opened):
            await provider.aclose()
        self._opened.clear()

    def _own(self, built: Built) -> Built:
        self._opened.append(built)
        return built
