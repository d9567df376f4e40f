"""Machines that pick up: voicemail, automatic attendants, call screening."""

from telephony.simulator.audio.voice import beep
from telephony.simulator.people.persona import Menu, Screens, Voicemail
from telephony.simulator.people.speaker import Speaker, ticks

SCREENING_SECONDS = 20.0
"""How long a screening machine waits for the caller to say who they are."""


async def take_message(speaker: Speaker, persona: Voicemail) -> None:
    """Greeting, beeps, and the time to record; a full mailbox hangs up after its greeting."""
    await speaker.wait(0.5)
    await speaker.say(persona.greeting)
    if persona.full:
        return
    await speaker.wait(persona.pause_seconds)
    for one in persona.beeps:
        await speaker.utter("(beep)", beep(one.hertz, one.seconds))
    await speaker.wait(persona.records_seconds)


async def offer_menu(speaker: Speaker, persona: Menu) -> None:
    """The prompt again and again; speech is not what it understands."""
    await speaker.wait(0.5)
    for _ in range(persona.repeats):
        since = speaker.now
        await speaker.say(persona.prompt)
        heard = await speaker.reply_ended(since, 0.7, speaker.now + ticks(persona.waits_seconds))
        if heard is not None:
            await speaker.say(persona.misunderstood)


async def screen_caller(speaker: Speaker, persona: Screens) -> bool:
    """Ask who calls; True where the person then comes on the line."""
    await speaker.wait(0.5)
    await speaker.say(persona.prompt)
    asked = speaker.now
    reply = await speaker.reply_ended(asked, persona.reply_silence_seconds, asked + ticks(SCREENING_SECONDS))
    if reply is None or not persona.accepts:
        await speaker.say(persona.declines)
        return False
    await speaker.say(persona.holds)
    await speaker.wait(persona.decides_seconds)
    return True
