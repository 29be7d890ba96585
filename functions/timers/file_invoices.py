"""Filing: documents of issued invoices, made before anybody asks for them."""

import azure.functions as func

from shared.bootstrap import application

blueprint = func.Blueprint()


@blueprint.function_name("file_invoices")
@blueprint.timer_trigger(arg_name="timer", schedule="5 * * * * *", run_on_startup=False, use_monitor=False)
async def file_invoices(timer: func.TimerRequest) -> None:
    """Run every minute: make the documents of invoices that were issued. Does not wait for them: the host's limit for a
    function is not one for 100,000 documents."""
    app = application()
    if await app.billing.filer.any_due():
        app.billing.filing_runner.start()
