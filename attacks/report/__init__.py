"""What attacks did to a network, in numbers, tables and figures.

Reading order:
    tables              results that print as a table
    intervals           how far a measured share can be from the true one
    by_class            success and distance by source and target class
    outcomes            the four outcomes of an attack on each image
    evaluate            accuracy against ε, and several attacks in one table
    figure, plots       images in rows and grids, curves, matrices, surfaces
    transfer            which models misclassify images that were made for others
    agreement           whether networks predict the same wrong class for them
    rubbish             images of nothing that a network accepts
    evaluation_plots    a figure for each measure
    fooling_plots       evolved images, their confidence, and CPPNs as graphs
"""
