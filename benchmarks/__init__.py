"""How long training takes with the book's package, and with what people would use instead."""
