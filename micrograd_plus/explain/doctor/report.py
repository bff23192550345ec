"""The diagnosis on a terminal: with colours where `rich` is installed, else as plain text."""

from typing import Any, TextIO

from ..findings import Finding
from .diagnosis import Diagnosis, shortened

COLOURS = {"error": "bold red", "warning": "bold yellow", "note": "bold blue"}


def show(diagnosis: Diagnosis, stream: TextIO) -> None:
    """Write the report to a stream."""
    try:
        from rich.console import Console
    except ImportError:
        stream.write(f"{diagnosis}\n")
        return
    console = Console(file=stream, highlight=False)
    if not console.is_terminal:
        stream.write(f"{diagnosis}\n")
        return
    _show(diagnosis, console)


def _show(diagnosis: Diagnosis, console: Any) -> None:
    from rich.padding import Padding
    from rich.text import Text

    style = "green" if diagnosis.healthy else "bold"
    console.print(Text(diagnosis.summary(), style))
    serious = sum(finding.level != "note" for finding in diagnosis)
    for number, finding in enumerate(diagnosis):
        console.print()
        heading = Text.assemble((f"{finding.code} {finding.level}", COLOURS[finding.level]), ("  " + finding.title, "bold"))
        if number == 0 and serious > 1:
            heading.append("  (start here)", "dim")
        console.print(heading)
        console.print(Padding(_body(finding), (0, 0, 0, 2)))
    for remark in diagnosis.remarks:
        console.print()
        console.print(Text(remark))
    if diagnosis.error:
        console.print()
        console.print(Text(f"{diagnosis.raised_by} raised:", "bold red"))
        console.print(Padding(Text(diagnosis.error.rstrip()), (0, 0, 0, 2)))


def _body(finding: Finding) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 1))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    if finding.line is not None:
        place = Text(str(finding.line), "cyan")
        if finding.line.text:
            place.append(f"  {shortened(finding.line.text)}", "default")
        table.add_row("where", place)
    table.add_row("seen", Text(finding.seen))
    table.add_row("why", Text(finding.why))
    table.add_row("cure", Text(finding.cure, "green"))
    table.add_row("more", Text(finding.link, "dim"))
    return table
