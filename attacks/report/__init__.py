"""What attacks did to a network, in numbers, tables and figures.

Reading order: tables, by_class, outcomes, evaluate, figure, plots, evaluation_plots, fooling_plots.
"""
