"""`trunkline campaign …`: its commands and where they live."""

import typer

from app.console.campaigns import importing, imports, life, report, running
from app.console.campaigns.schedules import schedule

campaign = typer.Typer(no_args_is_help=True, add_completion=False, help="Campaigns: lists of contacts to dial.")
campaign.add_typer(schedule, name="schedule")
for name, command in {
    "run": running.run,
    "import": importing.import_file,
    "imports": imports.list_imports,
    "show-import": imports.show_one,
    "create": life.create,
    "list": life.list_all,
    "show": life.show,
    "preflight": life.preflight,
    "start": life.start,
    "pause": life.pause,
    "resume": life.resume,
    "edit": life.edit,
    "canary": life.canary,
    "redial": life.redial,
    "finish": life.finish,
    "delete": life.delete,
    "watch": report.watch,
    "results": report.results,
    "report": report.report,
    "evidence": report.evidence,
}.items():
    campaign.command(name)(command)
