"""TwiML as the simulated carrier understands it: a document becomes a tuple of verbs, or an error with Twilio's code.

https://www.twilio.com/docs/voice/twiml. A verb that is not known here ends the call with an application error.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urljoin
from xml.etree import ElementTree

from app.errors import InvalidInput

MAX_DOCUMENT_BYTES = 64 * 1024
MAX_PARAMETER_CHARACTERS = 500
"""Twilio's limit for the name and value of one <Parameter> together."""

DOCUMENT_PARSE_FAILURE = 12100
SCHEMA_ERROR = 12200


class BadTwiml(InvalidInput):
    """The document cannot be executed; `error_code` is Twilio's (12100 not XML, 12200 not TwiML)."""

    code = "bad_twiml"
    title = "TwiML that cannot be executed"

    def __init__(self, detail: str, error_code: int) -> None:
        super().__init__(detail, error_code=error_code)
        self.error_code = error_code


@dataclass(frozen=True)
class Say:
    text: str
    loop: int = 1


@dataclass(frozen=True)
class Play:
    url: str
    loop: int = 1


@dataclass(frozen=True)
class Pause:
    length_seconds: float = 1.0


@dataclass(frozen=True)
class Hangup:
    pass


@dataclass(frozen=True)
class Reject:
    reason: str = "rejected"


@dataclass(frozen=True)
class Redirect:
    url: str
    method: str = "POST"


@dataclass(frozen=True)
class ConnectStream:
    url: str
    parameters: Mapping[str, str]


Verb = Say | Play | Pause | Hangup | Reject | Redirect | ConnectStream
Document = tuple[Verb, ...]

APPLICATION_ERROR: Document = (Say("We are sorry. An application error has occurred. Goodbye."), Hangup())
"""What the person hears when a webhook or its TwiML fails."""


class _NoDoctype(ElementTree.TreeBuilder):
    """Refuses a DTD, and with it every entity of the document's own: no expansion bombs, no outside files."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise BadTwiml("A document type declaration is not allowed.", DOCUMENT_PARSE_FAILURE)


def parse_document(text: str, base_url: str) -> Document:
    """The verbs of a TwiML document in order; relative URLs are resolved against `base_url`. Raises BadTwiml."""
    if len(text.encode()) > MAX_DOCUMENT_BYTES:
        raise BadTwiml(f"The document is larger than {MAX_DOCUMENT_BYTES} bytes.", DOCUMENT_PARSE_FAILURE)
    parser = ElementTree.XMLParser(target=_NoDoctype())  # noqa: S314  # defused by refusing any DTD
    try:
        parser.feed(text.strip())
        root = parser.close()
    except (ElementTree.ParseError, ValueError) as error:
        raise BadTwiml(f"Not well-formed XML: {error}.", DOCUMENT_PARSE_FAILURE) from error
    if root.tag != "Response":
        raise BadTwiml(f"The root element is <{root.tag}>, not <Response>.", SCHEMA_ERROR)
    return tuple(_verb(element, base_url) for element in root)


def _verb(element: ElementTree.Element, base_url: str) -> Verb:
    body = (element.text or "").strip()
    match element.tag:
        case "Say":
            return Say(body, loop=_whole(element, "loop", 1))
        case "Play":
            return Play(urljoin(base_url, body), loop=_whole(element, "loop", 1))
        case "Pause":
            return Pause(float(_whole(element, "length", 1)))
        case "Hangup":
            return Hangup()
        case "Reject":
            return Reject(element.get("reason", "rejected"))
        case "Redirect":
            return Redirect(urljoin(base_url, body), element.get("method", "POST").upper())
        case "Connect":
            return _connect(element)
        case other:
            raise BadTwiml(f"The simulator does not know the verb <{other}>.", SCHEMA_ERROR)


def _connect(element: ElementTree.Element) -> ConnectStream:
    nouns = list(element)
    if len(nouns) != 1 or nouns[0].tag != "Stream":
        raise BadTwiml("<Connect> must hold exactly one <Stream>.", SCHEMA_ERROR)
    stream = nouns[0]
    # Twilio drops the query of a stream's URL; whoever needs values there must send <Parameter>s.
    url = stream.get("url", "").split("?", 1)[0]
    if not url.startswith(("wss://", "ws://")):
        raise BadTwiml("<Stream> needs a url that begins with wss://.", SCHEMA_ERROR)
    parameters = {item.get("name", ""): item.get("value", "") for item in stream if item.tag == "Parameter"}
    if any(len(name) + len(value) > MAX_PARAMETER_CHARACTERS for name, value in parameters.items()):
        raise BadTwiml(f"A <Parameter> has more than {MAX_PARAMETER_CHARACTERS} characters.", SCHEMA_ERROR)
    return ConnectStream(url, parameters)


def _whole(element: ElementTree.Element, name: str, default: int) -> int:
    text = element.get(name, str(default))
    if not text.isdecimal():
        raise BadTwiml(f"<{element.tag} {name}> is not a whole number: {text!r}.", SCHEMA_ERROR)
    return min(int(text), 1000)
