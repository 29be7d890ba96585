"""Projects: keys and people of one consumer that belong together; members, invites, and how many of both fit (`seats`).

Not here: what a role in a project permits (`identity.permissions`); keys of a project (`access.keys`); limiting a grant
to projects (`access.grants`).
"""
