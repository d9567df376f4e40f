"""The proofs of kills, freezes and outages (`make prove`), small."""

import pytest

from tests.prove.engine.freezes import Freezes
from tests.prove.engine.kills import Kills
from tests.prove.engine.outages import Outages
from tests.prove.proof import Proof, Sizes

SMALL = Sizes(
    {
        "PROVE_KILLS": "9",
        "PROVE_UNCERTAIN_SECONDS": "8",
        "PROVE_FREEZES": "4",
        "PROVE_RESTARTS": "1",
        "PROVE_CUTS": "4",
        "PROVE_OUTAGE_PACE": "30",
        # How soon is for `make prove`, on a machine with nothing else to do.
        "PROVE_CLEAN_SECONDS": "120",
        "PROVE_BACK_SECONDS": "120",
    }
)


@pytest.mark.parametrize("proof", [Kills(), Freezes(), Outages()], ids=lambda proof: proof.name)
async def test_nobody_is_dialed_twice_or_lost_whatever_dies_freezes_or_goes_away(proof: Proof) -> None:
    figures = await proof.run(SMALL)
    assert figures.held, dict(figures.rows)
