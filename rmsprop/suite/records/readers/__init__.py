"""One module for each kind of file: what it holds as rows of the frame."""
