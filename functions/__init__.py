"""Every way in: one file per trigger, thin (parse → call → respond), registered in `function_app.py`.

`http`, `events` and `timers` are by the kind of trigger. Decisions are in `shared/`.
"""
