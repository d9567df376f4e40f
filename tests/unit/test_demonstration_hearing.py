"""What a tiny recognizer made of a sentence, judged by the tests that listen to calls."""

import pytest

from app.console.demonstration.stage import may_hold


@pytest.mark.parametrize(
    ("phrase", "heard"),
    [
        ("This was Harbor Dental", "Hello, this was harbord dental. We are sorry"),
        ("opening hours", "What are your opening hour? We are open"),
        ("Monday to Friday", "We are open monday to friday, from eight"),
        ("billing", "This is Marco from billing."),
    ],
)
def test_a_letter_off_is_heard(phrase: str, heard: str) -> None:
    assert may_hold(phrase, heard)


@pytest.mark.parametrize(
    ("phrase", "heard"),
    [
        ("This was Harbor Dental", "Hello, we are sorry that nobody is free"),
        ("opening hours", "What are your plans? We are open"),
        ("Monday to Friday", "We are open Tuesday to Thursday"),
        ("Monday to Friday", "We are open Monday to Saturday"),
        ("billing", "This is Marco from scheduling."),
        ("nobody is free", "somebody is here"),
        ("Rosa", "This was Marco. Are you there?"),
        ("anything", ""),
    ],
)
def test_other_words_are_not(phrase: str, heard: str) -> None:
    assert not may_hold(phrase, heard)
