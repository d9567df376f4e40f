"""What an answered call does: fetches TwiML from the application and executes its verbs one after the other."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from telephony.simulator.audio.voice import NothingToSay
from telephony.simulator.audio.wav import BadWav
from telephony.simulator.calls.record import Answer
from telephony.simulator.calls.sound import Sound
from telephony.simulator.calls.twiml import (
    APPLICATION_ERROR,
    BadTwiml,
    ConnectStream,
    Document,
    Hangup,
    Pause,
    Play,
    Redirect,
    Reject,
    Say,
    parse_document,
)
from telephony.simulator.calls.webhooks import HTTP_RETRIEVAL_FAILURE, Params, WebhookFailed, Webhooks
from telephony.simulator.journal import Journal

MAX_REDIRECTS = 20
"""Documents that one call may go through without an end; a loop of <Redirect>s is cut."""


@dataclass
class Program:
    """Executes TwiML on one line. `params` gives the webhook parameters of the moment."""

    call_sid: str
    sound: Sound
    params: Callable[[], Params]
    webhooks: Webhooks
    journal: Journal

    def __post_init__(self) -> None:
        self._redirects: asyncio.Queue[Answer] = asyncio.Queue()

    def redirect(self, answer: Answer) -> None:
        """Drop what is being executed and go on with `answer` (Twilio's update of a live call)."""
        self._redirects.put_nowait(answer)

    async def load(self, answer: Answer) -> Document:
        """Get and parse a document; whatever is wrong with it becomes the application-error announcement."""
        try:
            text = answer.twiml or await self.webhooks.fetch_twiml(
                self.call_sid, answer.url, answer.method, self.params()
            )
            return parse_document(text, answer.url)
        except (WebhookFailed, BadTwiml) as error:
            return self._fail(error.error_code, error.detail)

    async def run(self, first: Document | Answer) -> None:
        """Execute until a document ends or hangs up; returning means that the carrier ends the call."""
        step: Document | Answer | None = first
        for _ in range(MAX_REDIRECTS):
            step = await self._interruptible(step)
            if step is None:
                return
        self._fail(HTTP_RETRIEVAL_FAILURE, f"more than {MAX_REDIRECTS} redirects")

    async def _interruptible(self, step: Document | Answer) -> Answer | None:
        """Execute one document unless a redirect comes from outside; returns where to go next."""
        execution = asyncio.create_task(self._execute(step))
        redirected = asyncio.create_task(self._redirects.get())
        try:
            await asyncio.wait({execution, redirected}, return_when=asyncio.FIRST_COMPLETED)
            if redirected.done():
                return redirected.result()
            return execution.result()
        finally:
            execution.cancel()
            redirected.cancel()
            await asyncio.gather(execution, redirected, return_exceptions=True)

    async def _execute(self, step: Document | Answer) -> Answer | None:
        document = await self.load(step) if isinstance(step, Answer) else step
        try:
            return await self._verbs(document)
        except (WebhookFailed, BadWav, NothingToSay) as error:
            document = self._fail(HTTP_RETRIEVAL_FAILURE, error.detail)
            return await self._verbs(document)

    async def _verbs(self, document: Document) -> Answer | None:
        for verb in document:
            match verb:
                case Say(text, loop):
                    await self.sound.say(text, loop)
                case Play(url, loop):
                    await self.sound.play(url, loop)
                case Pause(length_seconds):
                    await self.sound.pause(length_seconds)
                case ConnectStream():
                    await self.sound.stream(verb)
                case Redirect(url, method):
                    return Answer(url, method)
                case Hangup() | Reject():
                    return None
        return None

    def _fail(self, error_code: int, detail: str) -> Document:
        self.journal.note("call.application_error", call_sid=self.call_sid, error_code=error_code, detail=detail)
        return APPLICATION_ERROR
