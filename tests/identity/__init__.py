"""Accounts, invites, prekeys, certificates, and the HTTP calls that lead to them."""
