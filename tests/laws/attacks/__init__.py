"""Laws of the attacks, a file for each; and those that hold for all of them."""
