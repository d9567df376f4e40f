"""Contacts over REST: whom a campaign calls, and why it does or does not."""

from dataclasses import asdict
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query

from app.api.callees.contact_shapes import ContactOut, NewContactEdit, VerdictOut, WhyOut
from app.api.dependencies import Parts, require
from app.api.wire.pages import (
    Cursor,
    Limit,
    Page,
    read_cursor,
    read_text_cursor,
    split_page,
    write_cursor,
    write_text_cursor,
)
from app.api.wire.problems import problem_responses
from app.auth.principal import Principal, Scope
from app.clock import utc_now
from app.db import Connection
from app.errors import InvalidInput
from app.ids import CampaignId, ContactId, OrgId
from campaigns.contacts import (
    Contact,
    ContactStatus,
    edit_contact,
    find_contacts,
    list_contacts,
    load_contact,
    remove_contact,
)
from campaigns.gates.why import why
from telephony.lines.numbers import parse_number
from telephony.reading_store import select_country

router = APIRouter(prefix="/api/v1/contacts", tags=["Contacts"], responses=problem_responses())

Reading = Annotated[Principal, require(Scope.CAMPAIGNS_READ)]
Writing = Annotated[Principal, require(Scope.CAMPAIGNS_WRITE)]

_Campaign = Annotated[
    UUID | None, Query(description="Contacts of this campaign; without `phone` all, in the order of their numbers.")
]
_Phone = Annotated[
    str | None,
    Query(max_length=40, description="Everyone with this number, first or further, or dialed at it; newest first."),
]
_Status = Annotated[ContactStatus | None, Query(description="Only these.")]


class NothingAsked(InvalidInput):
    """Neither a campaign nor a number is named."""

    code = "nothing_asked"


@router.get("", summary="Contacts of a campaign, or with a number")
async def get_contacts(
    state: Parts,
    principal: Reading,
    campaign_id: _Campaign = None,
    phone: _Phone = None,
    status: _Status = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[ContactOut]:
    """Say `campaign_id`, `phone`, or both."""
    campaign = None if campaign_id is None else CampaignId(campaign_id)
    async with state.db.request(principal.claims()) as connection:
        if phone is not None:
            return await _find_page(connection, principal.org_id, phone, campaign, status, limit, cursor)
        if campaign is None:
            raise NothingAsked("Name a campaign_id or a phone.")
        after = read_text_cursor(cursor)
        rows = await list_contacts(connection, principal.org_id, campaign, status=status, after=after, limit=limit + 1)
    page, more = split_page(rows, limit)
    following = write_text_cursor(page[-1].phones[0]) if more else None
    return Page(data=[render_contact(contact) for contact in page], next_cursor=following)


async def _find_page(
    connection: Connection,
    org_id: OrgId,
    phone: str,
    campaign_id: CampaignId | None,
    status: ContactStatus | None,
    limit: int,
    cursor: str | None,
) -> Page[ContactOut]:
    """Raises InvalidNumber, InvalidInput."""
    number, before = parse_number(phone, await select_country(connection, org_id)), read_cursor(cursor)
    rows = await find_contacts(
        connection, org_id, number, campaign_id=campaign_id, status=status, before=before, limit=limit + 1
    )
    page, more = split_page(rows, limit)
    following = write_cursor((page[-1].created_at, page[-1].id)) if more else None
    return Page(data=[render_contact(contact) for contact in page], next_cursor=following)


@router.get("/{contact_id}", summary="A contact", responses=problem_responses(404))
async def get_contact(state: Parts, principal: Reading, contact_id: UUID) -> ContactOut:
    async with state.db.request(principal.claims()) as connection:
        return render_contact(await load_contact(connection, principal.org_id, ContactId(contact_id)))


@router.patch("/{contact_id}", summary="Change a contact that waits", responses=problem_responses(404, 409))
async def patch_contact(state: Parts, principal: Writing, contact_id: UUID, body: NewContactEdit) -> ContactOut:
    """Whether its campaign runs or not. Numbers stay: who has another one is another contact. With another time zone,
    one that a gate had put off is due again."""
    changed = {name: getattr(body, name) for name in body.model_fields_set}
    async with state.db.request(principal.claims()) as connection:
        edited = await edit_contact(connection, principal.org_id, ContactId(contact_id), changed, now=utc_now())
    return render_contact(edited)


@router.delete("/{contact_id}", summary="Take a contact out", responses=problem_responses(404, 409))
async def delete_contact(
    state: Parts,
    principal: Writing,
    contact_id: UUID,
    reason: Annotated[str, Query(min_length=1, max_length=500, description="Why; it is kept.")] = "taken out",
) -> ContactOut:
    """It is blocked, with the reason, and never called by this campaign; what is known of it stays. Other campaigns may
    call the number: for all of them there is the do-not-call list."""
    async with state.db.request(principal.claims()) as connection:
        removed = await remove_contact(connection, principal.org_id, ContactId(contact_id), reason=reason)
    return render_contact(removed)


@router.get("/{contact_id}/why", summary="Why a contact is called, or not", responses=problem_responses(404))
async def get_why(state: Parts, principal: Reading, contact_id: UUID) -> WhyOut:
    """Every gate that a dial passes, with its verdict at this moment, and the next possible time."""
    async with state.db.request(principal.claims()) as connection:
        found = await why(connection, principal.org_id, ContactId(contact_id), now=utc_now())
    return WhyOut(
        contact=render_contact(found.contact),
        summary=found.summary,
        next_at=found.next_at,
        verdicts=[VerdictOut(**asdict(verdict)) for verdict in found.verdicts],
    )


def render_contact(contact: Contact) -> ContactOut:
    fields: dict[str, Any] = {name: getattr(contact, name) for name in ContactOut.model_fields}
    return ContactOut(**fields)
