"""What a campaign may do in each state."""

from __future__ import annotations

import pytest

from campaignd.model import CampaignState
from campaignd.store.campaigns import TRANSITIONS, possible, refusal

S = CampaignState


@pytest.mark.parametrize(
    ("state", "commands"),
    [
        (S.LOADING, ["cancel"]),
        (S.DRAFT, ["start", "cancel"]),
        (S.SCHEDULED, ["start", "cancel"]),
        (S.RUNNING, ["pause", "cancel"]),
        (S.PAUSED, ["resume", "cancel"]),
        (S.CANCELLED, []),
        (S.FINISHED, []),
    ],
)
def test_possible(state: CampaignState, commands: list[str]) -> None:
    assert possible(state) == commands


def test_no_command_finishes_or_reloads_a_campaign() -> None:
    targets = {transition.target for transition in TRANSITIONS.values()}
    assert targets == {S.RUNNING, S.PAUSED, S.CANCELLED}


def test_refusal_says_the_state_and_what_is_possible() -> None:
    assert refusal(7, S.FINISHED) == (
        "campaign 7 is finished; it can only be read: status, outcomes"
    )
    assert refusal(8, S.DRAFT) == "campaign 8 is draft; possible now: start, cancel"
