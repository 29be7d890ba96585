"""Reports: ask for what schedules say, and make what nobody is making."""

import azure.functions as func

from shared.bootstrap import application

blueprint = func.Blueprint()


@blueprint.function_name("make_reports")
@blueprint.timer_trigger(arg_name="timer", schedule="45 * * * * *", run_on_startup=False, use_monitor=False)
async def make_reports(timer: func.TimerRequest) -> None:
    """Run every minute: make the reports that are due. Does not wait for them: the host's limit for a function is not
    one for a report."""
    app = application()
    await app.reports.scheduler.run()
    if await app.reports.store.any_due(app.ports.now()):
        app.reports.runner.start()
