"""What runs AMS outside Azure, and what operators and developers call.

Shell commands: `run` (AMS on this machine), `test`, `bench`, `ams` (the operator's commands). Packages:

- `commands/`: the sub-commands of `ams`, one module each
- `host/`: the local host, which serves the functions without Azure
- `replay/`: access logs as usage; `seeding/`: markets from a file
- `linters/`: rules of this code base that no tool knows
- `provider/`: the development provider for sign-in, in JavaScript

`dev_server.py` runs host and provider side by side, `local_settings.py` finds settings as the Functions tools do, and
`terminal.py` is how the commands speak. Rules of the business are in `shared/`, not here.
"""
