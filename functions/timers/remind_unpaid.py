"""Unpaid invoices: overdue, with reminders to those who owe."""

import azure.functions as func

from shared.bootstrap import application

blueprint = func.Blueprint()


@blueprint.function_name("remind_unpaid")
@blueprint.timer_trigger(arg_name="timer", schedule="0 30 7 * * *", run_on_startup=False, use_monitor=True)
async def remind_unpaid(timer: func.TimerRequest) -> None:
    """Run every day at 7:30 UTC: remind of unpaid invoices. Running twice reminds once, and a run that was missed is
    made up for."""
    await application().billing.reminders.run()
