"""Derive: what views over long ranges read, from the counters that changed."""

import azure.functions as func

from shared.bootstrap import application

blueprint = func.Blueprint()


@blueprint.function_name("derive_rollups")
@blueprint.timer_trigger(arg_name="timer", schedule="15 * * * * *", run_on_startup=False, use_monitor=False)
async def derive_rollups(timer: func.TimerRequest) -> None:
    """Run every minute: derive the slices whose counters changed. Running twice changes nothing, and a run that was
    missed is made up for by the next one."""
    await application().metering.rollups.run()
