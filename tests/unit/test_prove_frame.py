"""The frame of the proofs: what holds, what does not, and what its control says of the proof itself."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.prove.__main__ import verdict
from tests.prove.proof import BadSize, Figures, Proof, Sizes, choose, examine, find_proofs


@dataclass(frozen=True)
class Scripted:
    name: str = "scripted"
    title: str = "It does what the test says"
    holds: bool = True
    control_holds: bool = False
    crashes: bool = False

    async def run(self, size: Sizes) -> Figures:
        return Figures(self.holds, {"contacts": str(size.get("CONTACTS", 7))})

    async def control(self, size: Sizes) -> Figures:
        if self.crashes:
            raise RuntimeError("the control did not get far enough to catch anything")
        return Figures(self.control_holds, {})


@pytest.mark.parametrize(
    ("proof", "says"),
    [
        (Scripted(), "holds"),
        (Scripted(holds=False), "does not hold"),
        (Scripted(control_holds=True), "its control was not caught"),
        (Scripted(crashes=True), "broke off"),
    ],
)
async def test_a_proof_counts_only_if_it_holds_and_its_control_does_not(proof: Proof, says: str) -> None:
    finding = await examine(proof, Sizes())
    assert finding.proved == (says == "holds")
    assert verdict(finding) == says


async def test_sizes_come_from_variables_and_fall_back_to_the_proofs_own() -> None:
    assert (await Scripted().run(Sizes())).rows == {"contacts": "7"}
    assert (await Scripted().run(Sizes({"PROVE_CONTACTS": "50_000"}))).rows == {"contacts": "50000"}
    with pytest.raises(BadSize, match="PROVE_CONTACTS=many"):
        Sizes({"PROVE_CONTACTS": "many"}).get("CONTACTS", 7)


def test_only_names_proofs_that_exist() -> None:
    one, other = Scripted("one"), Scripted("other")
    assert choose([one, other], "") == [one, other]
    assert choose([one, other], "other, one") == [one, other]
    with pytest.raises(ValueError, match=r"no proof is called thrid; there are: one, other"):
        choose([one, other], "thrid")


def test_every_proof_of_the_folder_has_a_name_of_its_own_and_a_claim() -> None:
    for proof in find_proofs():
        assert proof.name == proof.name.lower()
        assert proof.title


def test_two_proofs_of_one_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tests.prove.proof as frame

    monkeypatch.setattr(frame, "PROOFS", [Scripted(), Scripted()], raising=False)
    (tmp_path / "proof.py").touch()
    with pytest.raises(ValueError, match="two proofs are called scripted"):
        find_proofs(tmp_path)
