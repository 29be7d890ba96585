"""Every way in: one file per trigger, thin (parse → call → respond)."""
