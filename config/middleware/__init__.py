"""What every response gets, whatever view makes it."""
