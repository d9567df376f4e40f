"""The names of the stack's parts. Apart from the parts themselves, so that commands that only show or end them are
light."""

POSTGRES, REDIS, LIVEKIT, SIP = "postgres", "redis", "livekit", "sip"
API, WORKER, DIALER, SIMULATOR = "api", "worker", "dialer", "simulator"
NAMES = (POSTGRES, REDIS, LIVEKIT, SIP, SIMULATOR, API, WORKER, DIALER)
"""In the order they are shown."""
STOP_WAVES = ((DIALER, WORKER, SIMULATOR), (API, SIP), (LIVEKIT,), (POSTGRES, REDIS))
"""Who ends when: first who uses, last who is used."""
