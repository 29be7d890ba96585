"""What was changed, by whom and why.

Owns the journal, through which every change goes together with the tasks that follow from it (the outbox), the audit
log that it leaves, a hash chain for each month, and the settings that operators change while AMS runs (`platform`).

    models · chain        an entry, and how one is linked to the one before
    tasks                 the base of all kinds of outbox tasks, and those that the journal does itself
    log · search          the months' chains, and finding entries in them
    journal               one transaction: the change, its entry, its tasks
    platform              the platform's settings, which are audited as everything else

Not here: what a task does, which is its noun's; settings of the deployment (`shared.settings`).
"""
