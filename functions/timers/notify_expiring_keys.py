"""Keys: tell their owners before they expire."""

import azure.functions as func

from shared.bootstrap import application

blueprint = func.Blueprint()


@blueprint.function_name("notify_expiring_keys")
@blueprint.timer_trigger(arg_name="timer", schedule="0 0 6 * * *", run_on_startup=False, use_monitor=True)
async def notify_expiring_keys(timer: func.TimerRequest) -> None:
    """Run every day at 6:00 UTC: tell the owners of keys that are about to expire. Running twice sends nothing twice,
    and a run that was missed is made up for."""
    await application().access.expiry_notices.run()
