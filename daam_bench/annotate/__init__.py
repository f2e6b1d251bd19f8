"""How masks come to be: proposals, exchange with annotation tools, agreement."""
