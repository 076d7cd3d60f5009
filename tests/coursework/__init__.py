"""Coursework: reference solutions, what students get wrong, and whether each check tells them apart.

``python -m tests.coursework`` checks every answer over 20 seeds and every mistake, in processes of their own, and prints
a table with the message that a student reads.
"""
