"""Words shared by all capabilities: ids, amounts, time, chance, conditions, events, commands, tables."""
