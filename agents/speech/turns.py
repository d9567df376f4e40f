"""When somebody speaks, and when they have finished: LiveKit's local models, whose weights are in their wheel.

Each figure here is a wait that a caller hears. They are set for the telephone with the offline engines; docs/speech.md
says what was measured.
"""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import ParamSpec, TypeVar

from livekit.agents import inference
from livekit.agents.voice.turn import (
    EndpointingOptions,
    InterruptionOptions,
    PreemptiveGenerationOptions,
    TurnHandlingOptions,
)
from livekit.local_inference import init_eot, init_vad

MIN_SILENCE_SECONDS = 0.25
"""Silence that ends a stretch of speech; the turn detector needs 0.2 at least."""
ANSWER_AFTER_SECONDS = 0.3
"""Silence before the answer, where the turn detector hears an end."""
WAIT_AT_MOST_SECONDS = 1.2
"""The same where it hears that more is to come."""
SPEECH_SECONDS = 0.03
BARGE_IN_SECONDS = 0.06
"""Speech that counts as such, and speech that makes the agent fall silent: one and two windows of the VAD. LiveKit's
and LiveKit SIP's buffers take some 0.3 s of the 0.4 s within which a caller expects silence."""
FALSE_BARGE_IN_SECONDS = 1.5
"""Nothing was said after all (a cough, a door): the agent goes on after this silence."""


Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class Inline(Executor):
    """Runs what it is given at once. A VAD window takes 0.02 ms, the way to a thread and back many times that."""

    def submit(
        self, fn: Callable[Arguments, Result], /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Future[Result]:
        done: Future[Result] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


def warm_turn_models() -> None:
    """Load both models; a first use would stop the event loop for half a second."""
    init_vad()
    init_eot()


def build_vad() -> inference.VAD:
    return inference.VAD(
        min_speech_duration=SPEECH_SECONDS,
        min_silence_duration=MIN_SILENCE_SECONDS,
        prefix_padding_duration=0.3,
        executor=Inline(),
    )


def build_turn_handling() -> TurnHandlingOptions:
    """Who speaks when. `v1-mini` is the local turn detector; without a version LiveKit may choose its cloud."""
    return TurnHandlingOptions(
        turn_detection=inference.TurnDetector(version="v1-mini"),
        endpointing=EndpointingOptions(mode="fixed", min_delay=ANSWER_AFTER_SECONDS, max_delay=WAIT_AT_MOST_SECONDS),
        interruption=InterruptionOptions(
            enabled=True,
            mode="vad",
            min_duration=BARGE_IN_SECONDS,
            min_words=0,
            # What is said over the agent is heard all the same, even where the agent may not be interrupted.
            discard_audio_if_uninterruptible=False,
            resume_false_interruption=True,
            false_interruption_timeout=FALSE_BARGE_IN_SECONDS,
        ),
        preemptive_generation=PreemptiveGenerationOptions(enabled=True, preemptive_tts=False),
    )
