"""What all attacks share.  A new attack is written with these, and needs nothing of another attack.

Reading order:
    goal               away from a label, or towards a target
    objectives         what an attack maximises to get there
    precision          images in half precision are attacked in single precision
    victim             the network under attack, which counts its runs
    checks             parameters out of range
    norms              L∞, L2, L1: lengths, steepest steps, projections, random points
    active_set         the examples that are still attacked
    result             what an attack returns
    run                how an attack begins and ends
    units              pixels in units of their bounds
"""
