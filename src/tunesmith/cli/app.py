"""All commands under one name."""

import typer

from tunesmith.cli.audit import audit
from tunesmith.cli.batch import batch
from tunesmith.cli.check import check
from tunesmith.cli.clean import clean
from tunesmith.cli.collapse import collapse
from tunesmith.cli.demo import demo
from tunesmith.cli.diagnose import diagnose
from tunesmith.cli.doctor import doctor
from tunesmith.cli.explain import explain
from tunesmith.cli.export import export
from tunesmith.cli.fit import fit
from tunesmith.cli.init import init
from tunesmith.cli.live import live
from tunesmith.cli.predict import predict
from tunesmith.cli.rate import rate
from tunesmith.cli.repair import repair
from tunesmith.cli.report import report
from tunesmith.cli.scale import scale
from tunesmith.cli.schedule import schedule
from tunesmith.cli.search import search
from tunesmith.cli.tune import tune

app = typer.Typer(
    help="Looks at data and program, trains exactly and resumably, judges on rows not seen.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (
    tune,
    fit,
    audit,
    check,
    diagnose,
    repair,
    search,
    rate,
    batch,
    predict,
    export,
    report,
    live,
    init,
    doctor,
    explain,
    schedule,
    scale,
    collapse,
    clean,
    demo,
):
    app.command()(command)


@app.callback(invoke_without_command=True)
def about(context: typer.Context, version: bool = typer.Option(False, "--version", help="Print the version.")) -> None:
    if version:
        from importlib.metadata import version as installed

        typer.echo(installed("tunesmith"))
        raise typer.Exit()
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)
