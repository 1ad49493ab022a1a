"""Model calls: every request has a key, the ledger keeps every reply, none is paid for twice."""
