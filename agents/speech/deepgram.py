"""Deepgram: hearing and speaking over its API (DEEPGRAM_API_KEY)."""

from typing import Any

from livekit.agents import stt, tts
from livekit.plugins import deepgram

from agents.team.definition import Voice

VOICE = "aura-2-andromeda-en"
SLOWEST, FASTEST = 0.7, 1.5
"""What Deepgram takes; a team file may ask for more."""


def build_stt(api_key: str, language: str) -> stt.STT[Any]:
    """Partials and finals over one websocket a call; `language` as in the team file ("en", "en-US")."""
    return deepgram.STT(api_key=api_key, model="nova-3", language=language, smart_format=True)


def build_tts(api_key: str, voice: Voice) -> tts.TTS[Any]:
    speed = None if voice.speed == 1.0 else min(max(voice.speed, SLOWEST), FASTEST)
    return deepgram.TTS(api_key=api_key, model=voice.deepgram or VOICE, sample_rate=24_000, speed=speed)
