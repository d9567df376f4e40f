"""OpenAI, and whatever speaks its protocol: thinking, hearing and speaking (OPENAI_API_KEY, OPENAI_BASE_URL)."""

from typing import Any

from livekit.agents import NOT_GIVEN, NotGivenOr, llm, stt, tts
from livekit.plugins import openai

from agents.team.definition import Voice

VOICE = "ash"
NO_KEY = "none"
"""Local servers want no key, the client insists on one."""


def build_llm(api_key: str, base_url: str, model: str) -> llm.LLM[Any]:
    """A chat model; `base_url` is empty for OpenAI itself."""
    return openai.LLM(model=model, api_key=_key(api_key, base_url), base_url=_given(base_url), max_retries=0)


def build_stt(api_key: str, base_url: str, language: str) -> stt.STT[Any]:
    """Whole utterances; LiveKit's VAD cuts them."""
    return openai.STT(api_key=_key(api_key, base_url), base_url=_given(base_url), language=language.split("-")[0])


def build_tts(api_key: str, base_url: str, voice: Voice) -> tts.TTS[Any]:
    return openai.TTS(
        api_key=_key(api_key, base_url),
        base_url=_given(base_url),
        voice=voice.openai or VOICE,
        speed=voice.speed,
        response_format="pcm",
    )


def _key(api_key: str, base_url: str) -> str:
    return api_key or (NO_KEY if base_url else "")


def _given(base_url: str) -> NotGivenOr[str]:
    return base_url or NOT_GIVEN
