"""Laws of the engine: operations, layers, losses, training."""
