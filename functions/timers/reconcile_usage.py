"""Reconcile: recount closed days from their records, every night."""

import azure.functions as func

from shared.bootstrap import application

blueprint = func.Blueprint()


@blueprint.function_name("reconcile_usage")
@blueprint.timer_trigger(arg_name="timer", schedule="0 30 2 * * *", run_on_startup=False, use_monitor=True)
async def reconcile_usage(timer: func.TimerRequest) -> None:
    """Run every day at 02:30 UTC: recount closed days. Catches up every closed day that was missed; running twice
    changes nothing."""
    await application().metering.reconciler.run()
