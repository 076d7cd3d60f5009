"""The inner loops.  `reference` is the specification; faster twins, when present, keep its names and signatures."""
