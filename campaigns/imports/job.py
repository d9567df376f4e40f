"""An import under way, and who holds it."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from app.errors import Conflict
from app.ids import CampaignId, OrgId
from campaigns.imports.contacts import RowReader
from campaigns.imports.files.rows import RowSource
from campaigns.imports.opening import ImportOptions

LEASE_SECONDS = 30.0


class ImportTakenOver(Conflict):
    """Another process goes on with this import; this one has changed nothing since."""

    code = "import_taken_over"


@dataclass(frozen=True)
class Job:
    """An import under way, held by this process under `fence`."""

    id: UUID
    org_id: OrgId
    campaign_id: CampaignId
    fence: int
    source: RowSource
    reader: RowReader
    options: ImportOptions
    warnings: Sequence[str]
