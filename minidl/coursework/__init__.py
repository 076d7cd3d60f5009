"""Coursework: tasks in which students write rules, laws, attacks and defences, and see them run in the real engine.

    python -m minidl.coursework new my-work       # writes the hand-out, one file for each task
    cd my-work
    python -m minidl.coursework list              # what each task teaches, and what is done
    python -m minidl.coursework check 01          # checks one of them, in seconds, and says what to do next
    python -m minidl.coursework grade my-work     # all of them, for the instructor

A student's file marks its functions by ``@solve("matmul.pull[0]")``.  They replace that entry of the engine while the
check runs.  Rules are judged by laws over drawn cases, laws by correct and wrong programs, attacks and defences by what
they reach on small fixed networks.  Instructors: demos/coursework.md.  Needs Hypothesis: ``pip install
"minidl[coursework]"``.

Reading order:
    solving         `solve`, and the functions of a student's file
    guarding        what a solution may not do
    task            what a task is: text, parts of a check, hints, a picture
    tasks           the tasks, one file each
    rules           how rules are judged: by laws over drawn cases
    laws            how laws are judged: by correct and wrong programs
    programs        correct programs for the laws of derivatives
    networks        the small digits and networks that attacks and defences are judged on
    contests        what an attack has to keep, and how it is compared with ours
    pictures        what `demo` draws
    child           one check, in a process of its own
    running         the same from outside: limits, and results as they come
    folder          a student's folder: its files, and what is remembered in it
    grading         a folder, or a class
    formats         results for Gradescope, PrairieLearn and JUnit
    printing        what the command line prints
    __main__        the command line
"""

from .solving import solve
from .task import every_task, find

__all__ = ["every_task", "find", "solve"]
