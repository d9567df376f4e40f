"""What LiveKit and LiveKit SIP are told."""

import pytest
import yaml

from app.settings import Settings
from app.stack.livekit.configs import livekit_config, sip_config


@pytest.mark.parametrize(("pii", "level"), [(False, "warn"), (True, "info")])
def test_callers_numbers_stand_in_their_logs_only_when_wished(pii: bool, level: str) -> None:
    settings = Settings(log_pii=pii, redis_url="redis://:word@127.0.0.1:6379")
    for config in (livekit_config(settings), sip_config(settings)):
        assert yaml.safe_load(config)["logging"]["level"] == level
