"""What builds the book: nothing here is needed by a reader."""
