"""Accounts as they are shown and changed: one's own, and by operators.

Owns what routes do with them: profile, list, suspension, appointing admins. How an account comes to be is
`shared.identity.sign_in.enrolment`; the sessions of an account are `shared.identity.sign_in.sessions`.
"""
