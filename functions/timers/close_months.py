"""Close: every merchant's months that are over become invoices."""

import azure.functions as func

from shared.bootstrap import application

blueprint = func.Blueprint()


@blueprint.function_name("close_months")
@blueprint.timer_trigger(arg_name="timer", schedule="0 10 * * * *", run_on_startup=False, use_monitor=True)
async def close_months(timer: func.TimerRequest) -> None:
    """Run every hour, since months end in every time zone: close the billing periods that are over. Running twice bills
    nothing twice, and a run that was missed or killed is made up for."""
    await application().billing.closer.run()
