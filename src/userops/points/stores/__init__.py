"""Where a ledger keeps its books: in memory, or in a database."""
