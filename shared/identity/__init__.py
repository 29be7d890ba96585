"""Who people are and what they may do: tokens, accounts, sessions, invites, permissions."""
