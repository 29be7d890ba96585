"""The outbox: finish what a process that was killed, or a mail server that was down, left over."""

import azure.functions as func

from shared.bootstrap import application

blueprint = func.Blueprint()


@blueprint.function_name("deliver_outbox")
@blueprint.timer_trigger(arg_name="timer", schedule="15 * * * * *", run_on_startup=False, use_monitor=False)
async def deliver_outbox(timer: func.TimerRequest) -> None:
    """Run every minute: do the tasks of the outbox that are due. Safe to run twice at once: tasks are leased, and doing
    one twice changes nothing."""
    await application().audit.journal.deliver_due()
