"""Laws of evolution: encodings, archives, the loop."""
