"""The claim: section 7.6 of the book as an experiment."""
