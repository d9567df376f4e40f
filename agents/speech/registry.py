"""Who hears, speaks and thinks in a call, by setting and team file.

The offline engines are always loaded: where a paid provider is chosen and fails in a call, they step in, so that
nobody talks to silence. A provider is one file of this folder and one line in each function here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from livekit.agents import inference, llm, stt, tts

from agents.definition import AgentDefinition, TeamDefinition, Voice
from agents.speech import deepgram, openai
from agents.speech.hibari import HibariEngine, HibariTTS
from agents.speech.moonshine import MoonshineEngine, MoonshineSTT
from agents.speech.scripted import ScriptedModel
from agents.speech.turns import warm_turn_models
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


def build_stt(settings: Settings, engines: Engines, vad: inference.VAD, language: str) -> stt.STT[Any]:
    """Who hears; `language` as in the team file. The offline engine hears English."""
    offline = MoonshineSTT(engines.hearing)
    match settings.stt:
        case Provider.OFFLINE:
            return offline
        case Provider.DEEPGRAM:
            chosen = deepgram.build_stt(settings.deepgram_api_key.get_secret_value(), language)
        case Provider.OPENAI:
            chosen = openai.build_stt(settings.openai_api_key.get_secret_value(), settings.openai_base_url, language)
    return stt.FallbackAdapter([chosen, offline], vad=vad)


def build_tts(settings: Settings, engines: Engines, voice: Voice) -> tts.TTS[Any]:
    """Who speaks, with this agent's voice."""
    offline = HibariTTS(engines.speaking, voice=voice.offline, speed=voice.speed)
    match settings.tts:
        case Provider.OFFLINE:
            return offline
        case Provider.DEEPGRAM:
            chosen = deepgram.build_tts(settings.deepgram_api_key.get_secret_value(), voice)
        case Provider.OPENAI:
            chosen = openai.build_tts(settings.openai_api_key.get_secret_value(), settings.openai_base_url, voice)
    return tts.FallbackAdapter([chosen, offline])


def build_llm(
    settings: Settings, team: TeamDefinition, agent: AgentDefinition, variables: Mapping[str, Any]
) -> llm.LLM[Any]:
    """Who thinks for this agent."""
    scripted = ScriptedModel(team, agent, variables)
    if settings.llm is Provider.OFFLINE:
        return scripted
    model = agent.model or settings.openai_model
    chosen = openai.build_llm(settings.openai_api_key.get_secret_value(), settings.openai_base_url, model)
    return llm.FallbackAdapter([chosen, scripted], attempt_timeout=MODEL_TIMEOUT_SECONDS)
