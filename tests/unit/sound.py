"""A loudspeaker that plays until the test says so, and a voice of silence: speech takes time, and makes no sound."""

import asyncio
from typing import Any

from livekit import rtc
from livekit.agents import DEFAULT_API_CONNECT_OPTIONS, APIConnectOptions, tts
from livekit.agents.voice.io import AudioOutput, AudioOutputCapabilities

RATE = 24_000
FRAME_SAMPLES = RATE // 50


class SilentVoice(tts.TTS[Any]):
    """Speaks every text as a fifth of a second of silence."""

    def __init__(self) -> None:
        super().__init__(capabilities=tts.TTSCapabilities(streaming=False), sample_rate=RATE, num_channels=1)

    def synthesize(self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS) -> "SilentStream":
        return SilentStream(tts=self, input_text=text, conn_options=conn_options)


class SilentStream(tts.ChunkedStream):
    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        output_emitter.initialize(request_id="silence", sample_rate=RATE, num_channels=1, mime_type="audio/pcm")
        output_emitter.push(bytes(2 * FRAME_SAMPLES * 10))
        output_emitter.flush()


class Loudspeaker(AudioOutput):
    """What is flushed to it plays on until `finish`; cleared, it stops at once and says so."""

    def __init__(self) -> None:
        super().__init__(label="loudspeaker", capabilities=AudioOutputCapabilities(pause=False), sample_rate=RATE)
        self._seconds = 0.0
        self.playing = asyncio.Event()
        self.muted = False
        """Finish everything at once, as an output without sound does."""

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        self._seconds += frame.duration

    def flush(self) -> None:
        super().flush()
        if self._seconds:
            self.playing.set()
            if self.muted:
                self.finish()

    def clear_buffer(self) -> None:
        if self._seconds:
            self.finish(interrupted=True)

    def finish(self, *, interrupted: bool = False) -> None:
        """The person has heard it to the end, or up to the middle."""
        seconds, self._seconds = self._seconds, 0.0
        self.playing.clear()
        self.on_playback_finished(playback_position=seconds / 2 if interrupted else seconds, interrupted=interrupted)
