"""What we answer when Twilio asks what to do with a call: TwiML, by its SDK."""

from twilio.twiml.voice_response import Connect, Stream, VoiceResponse

APOLOGY = "We are sorry, something went wrong on our side. Please call again in a few minutes."


def connect_twiml(stream_url: str, token: str) -> str:
    """Connect the call to our media websocket.

    Twilio goes on to the next verb when the websocket closes. An ordinary end hangs up over REST before closing, so
    whoever gets as far as the apology has lost us in the middle of the call.
    """
    stream = Stream(url=stream_url)
    stream.parameter(name="token", value=token)
    connect = Connect()
    connect.append(stream)
    answer = VoiceResponse()
    answer.append(connect)
    answer.say(APOLOGY)
    answer.hangup()
    return str(answer)


def reject_twiml() -> str:
    """Refuse an inbound call unanswered: the caller hears what a number that is not in service sounds like."""
    answer = VoiceResponse()
    answer.reject(reason="rejected")
    return str(answer)


def apology_twiml() -> str:
    """The fault is ours and the caller hears so: never silence."""
    answer = VoiceResponse()
    answer.say(APOLOGY)
    answer.hangup()
    return str(answer)


def hangup_twiml() -> str:
    answer = VoiceResponse()
    answer.hangup()
    return str(answer)
