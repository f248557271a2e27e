"""What the asynchronous and the blocking half do differently, under the same names."""
